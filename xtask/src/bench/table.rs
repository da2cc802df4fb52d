//! What was seen beside what is wanted.

/// A bound for a ratio or a figure.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// Only to be seen.
    Anything,
}

impl Wanted {
    fn holds(self, seen: f64) -> bool {
        match self {
            Self::AtLeast(bound) => seen >= bound,
            Self::AtMost(bound) => seen <= bound,
            Self::Anything => true,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {}", number(bound)),
            Self::AtMost(bound) => format!("≤ {}", number(bound)),
            Self::Anything => "–".to_owned(),
        }
    }
}

/// All lines so far.
#[derive(Default)]
pub(crate) struct Table {
    lines: Vec<String>,
    short: Vec<String>,
}

impl Table {
    /// A figure divided by another one, such as the peer's.
    pub(crate) fn ratio(&mut self, work: &str, seen: f64, against: (&str, f64), wanted: Wanted) {
        let (other, divisor) = against;
        let ratio = seen / divisor;
        self.line(work, &number(seen), &format!("{other}: {}", number(divisor)), ratio, wanted);
    }

    /// A figure of its own.
    pub(crate) fn figure(&mut self, work: &str, seen: f64, wanted: Wanted) {
        self.line(work, &number(seen), "–", seen, wanted);
    }

    fn line(&mut self, work: &str, seen: &str, against: &str, judged: f64, wanted: Wanted) {
        let line = format!("| {work} | {seen} | {against} | {} | {} |", number(judged), wanted.text());
        println!("{line}");
        if !wanted.holds(judged) {
            self.short.push(format!("{work}: {} where {} is wanted", number(judged), wanted.text()));
        }
        self.lines.push(line);
    }

    /// Prints everything once more; gives what fell short.
    pub(crate) fn close(self) -> Vec<String> {
        println!("\n| work | seen | against | ratio or figure | wanted |\n|---|---|---|---|---|");
        self.lines.iter().for_each(|line| println!("{line}"));
        self.short
    }
}

/// As many digits as are worth reading.
fn number(figure: f64) -> String {
    let digits = match figure.abs() {
        size if size >= 1_000.0 => 0,
        size if size >= 0.1 => 3,
        _ => 5,
    };
    let text = format!("{figure:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let check = |figure: f64, expected: &str| assert_eq!(number(figure), expected);
        check(123_456.7, "123457");
        check(99.995, "99.995");
        check(12.0, "12");
        check(0.2, "0.2");
        check(0.005_2, "0.0052");
        check(0.0, "0");
    }

    #[test]
    fn what_falls_short_is_told() {
        let mut table = Table::default();
        table.ratio("good", 24.0, ("peer", 2.0), Wanted::AtLeast(12.0));
        table.ratio("bad", 3.0, ("alone", 2.0), Wanted::AtMost(1.2));
        table.figure("seen", 1.0, Wanted::Anything);
        assert_eq!(table.lines[0], "| good | 24 | peer: 2 | 12 | ≥ 12 |");
        assert_eq!(table.close(), ["bad: 1.5 where ≤ 1.2 is wanted"]);
    }
}
