"""Batches: a file in, a window of parcels at a time through the dock, output and error file out.

In: batches.commands, batches.results, batches.state.
Out: requests, cancels, dead-letters, batches.results, batches.state, batches.directory, files. Besides: parts of the
output in the object store.

Guarantee: EXACTLY_ONCE_OUTPUTS. A line is fed once and ends once: the parcels, the cursor that passed their lines, the
bits of finished lines, the list of parts and the source positions are in one transaction. A crash
- during validation: the next owner validates again;
- before the commit of a step: nothing of the step happened; a part that was already written is an orphan in no list;
- after it: the next owner finds the step done. No finished line is fed again.
"""
