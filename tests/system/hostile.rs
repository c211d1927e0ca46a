//! What a producer with bad intent puts into an order's fields: it stays text wherever it goes.

use std::time::Duration;

use crate::plain::{Line, SOON};
use crate::support::{Mails, Services, letters};

/// Each ends or begins something somewhere: a line, a string, a header, a mail, a terminal's command.
const NASTY: [&str; 8] = [
    "lamp\r\nBcc: eve@evil.example\r\n\r\nbuy",
    "lamp\n2026-01-01T00:00:00Z ERROR ordermill: all is lost",
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m",
    "'; DROP TABLE orders; --",
    "$1 :note ? {{ event.n }} ${HOME}",
    "\r\n.\r\nQUIT\r\n",
    "\u{202e}\u{2028}\u{85}\\\"<script>",
    "eve@evil.example, mallory@evil.example",
];

fn fields() -> Vec<String> {
    let mut fields: Vec<String> = NASTY.map(str::to_owned).into();
    fields.push("x".repeat(10_000));
    fields.push("🏮\r\n ".repeat(1_500));
    fields
}

/// What is refused becomes a dead letter, however often.
fn goes_on(line: Line) -> Line {
    line.say("then: stop", "then: dead_letter").say(", stop_after: { consecutive: 1 }", "")
}

#[test]
fn hostile_fields_become_one_row_one_mail_to_one_recipient_and_no_line_of_their_own_in_the_log() {
    let rows = goes_on(Line::new(1));
    // a name that comes again is refused in words that have it in them
    rows.database.query(
        "CREATE FUNCTION once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF EXISTS (SELECT FROM orders WHERE note = NEW.note) THEN
                 RAISE unique_violation USING MESSAGE = 'there is ' || NEW.note;
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER once BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION once()",
    );
    let receiver = Mails::up(Duration::ZERO);
    let mut mails = goes_on(rows.beside(1));
    let (sink, retry) =
        (mails.pipeline.find("sink:").unwrap(), mails.pipeline.find("retry:").unwrap());
    mails.pipeline.replace_range(
        sink..retry,
        "sink:\n  mail:\n    from: shop@example.com\n    to: a@example.com\n    \
         subject: 'Order {{ event.note }}'\n    text: '{{ event.note }}'\n    timeout: 3s\n",
    );
    let mail =
        format!("mail: {{ smtp: {{ host: 127.0.0.1, port: {}, tls: none }} }}\n", receiver.port());
    let rows = Line { settings: rows.settings.clone() + &mail, ..rows };

    let fields = fields();
    let count = i64::try_from(fields.len()).unwrap();
    let values = |line: &Line| -> Vec<_> {
        let value = |(n, note): (i64, &String)| (0, Some(line.value(n, note)));
        (0..).zip(&fields).map(value).collect()
    };
    rows.send(values(&rows));
    // all of them once more under other numbers, and one with what PostgreSQL has no text for
    rows.send((count..).zip(&fields).map(|(n, note)| (0, Some(rows.value(n, note)))));
    rows.send([(0, Some(rows.value(1_000, "lamp\0\r\n\u{1b}[31mred")))]);
    mails.send(values(&mails));
    let mut mill = mails.files(rows.command(&["run"]), "mails").with_http().start();
    let dead = rows.dead_letters();
    let kafka = &Services::get().kafka;
    mill.wait_until(SOON, "all rows, letters and mails are there", |_| {
        rows.count() == count
            && receiver.taken().len() == fields.len()
            && kafka.end_offsets(&dead).values().sum::<i64>() == count + 1
    });
    mill.sigterm();
    assert_eq!(mill.wait_exit(SOON), Some(0), "{}", mill.stderr());

    let kept = rows.database.query("SELECT json_agg(note ORDER BY n) FROM orders");
    assert_eq!(serde_json::from_str::<Vec<String>>(&kept).unwrap(), fields);
    let letters = letters(kafka, &rows.topic, &[&dead]);
    let reasons: Vec<&str> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    let mut expected = vec!["unique_violation"; fields.len()];
    expected.push("nul_in_text");
    assert_eq!(reasons, expected);
    for mail in receiver.taken() {
        assert_eq!(mail.to, ["a@example.com"], "{mail:?}");
        let (head, _) = mail.raw.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> = head
            .split("\r\n")
            .filter(|line| !line.starts_with(' '))
            .map(|line| line.split(':').next().unwrap())
            .collect();
        for name in ["From", "To", "Subject", "Message-ID"] {
            assert_eq!(names.iter().filter(|there| **there == name).count(), 1, "{head}");
        }
        assert!(!names.contains(&"Bcc"), "{head}");
    }
    assert_plain(&mill.stderr());
}

/// Each line is one that Ordermill began, and none has anything in it that does more than show itself.
#[track_caller]
fn assert_plain(log: &str) {
    assert!(log.contains("unique_violation"), "the log says nothing of a refusal:\n{log}");
    for line in log.lines() {
        let time = line.split(' ').next().unwrap();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "not a line of its own: {line:?}");
        let odd = line.chars().find(|c| c.is_control() || "\u{202e}\u{2028}".contains(*c));
        assert_eq!(odd, None, "{line:?}");
        let forged =
            line.contains("ERROR ordermill: all is lost") && line.starts_with("2026-01-01");
        assert!(!forged, "{line:?}");
    }
}
