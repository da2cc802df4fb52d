//! The simulated host: time, disk, network and chance from one seed.
