//! loose_json
