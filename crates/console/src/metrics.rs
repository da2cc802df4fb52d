//! The text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write as _};

/// Something that has figures to show.
pub trait Metrics: Send + Sync {
    /// Adds them to the page. Must not block: read snapshots.
    fn write(&self, page: &mut Page);
}

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A page being written.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Begins a metric; its samples follow.
    pub fn metric(&mut self, name: &str, kind: Kind, help: &str) -> &mut Self {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.head(name, kind, help)
    }

    /// A metric with one sample.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) -> &mut Self {
        self.metric(name, kind, help).sample(name, &[], value)
    }

    /// A sample of the metric begun last.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.text.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            for c in text.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    c => self.text.push(c),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        writeln!(self.text, " {value}").expect("writing to a string");
        self
    }

    /// A histogram of durations in seconds. `counts` has one more entry than `bounds_micros`, for what is beyond the last
    /// bound; its entries are not cumulative.
    pub fn histogram(&mut self, name: &str, help: &str, bounds_micros: &[u64], counts: &[u64], sum_micros: u64) {
        self.head(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        let mut total = 0;
        for (at, count) in counts.iter().enumerate() {
            total += count;
            let bound = bounds_micros.get(at).map_or("+Inf".to_owned(), |micros| seconds(*micros).to_string());
            self.sample(&bucket, &[("le", &bound)], total);
        }
        self.sample(&format!("{name}_sum"), &[], seconds(sum_micros));
        self.sample(&format!("{name}_count"), &[], total);
    }

    /// The text so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) -> &mut Self {
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("writing to a string");
        self
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let mut page = Page::default();
        page.single("a_total", Kind::Counter, "Things.", 3);
        page.metric("b", Kind::Gauge, "Places.").sample("b", &[("topic", "x\"y"), ("queue", "0")], 1.5);
        page.histogram("c_seconds", "Times.", &[50, 1000], &[1, 2, 4], 1_500_000);
        let expected = "# HELP a_total Things.\n# TYPE a_total counter\na_total 3\n\
            # HELP b Places.\n# TYPE b gauge\nb{topic=\"x\\\"y\",queue=\"0\"} 1.5\n\
            # HELP c_seconds Times.\n# TYPE c_seconds histogram\nc_seconds_bucket{le=\"0.00005\"} 1\n\
            c_seconds_bucket{le=\"0.001\"} 3\nc_seconds_bucket{le=\"+Inf\"} 7\nc_seconds_sum 1.5\nc_seconds_count 7\n";
        assert_eq!(page.text(), expected);
    }
}
