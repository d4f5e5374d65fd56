"""The parcel, and its results."""
