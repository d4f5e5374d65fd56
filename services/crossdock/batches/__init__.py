"""Batches: a file in, a window of parcels at a time through the dock, output and error file out.

In: batches.commands (Submitted, CancelAsked), batches.results.
Out: requests (parcels of lines), batches.results (lines that end without a call), batches.directory, files; state in
batches.state, parts of the output in the object store.

Guarantee: a line is fed once and ends once. The parcels, the cursor that passed their lines, the bits of finished
lines, the list of parts and the source positions become visible in one Kafka transaction. A crash
- while validating: the next owner validates again;
- before the commit of a step: nothing of it happened; a part already written is an orphan that no list names;
- after it: the next owner finds it done. No finished line is fed again.
"""
