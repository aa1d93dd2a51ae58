//! The style sheet: what stands on what can be read.

use std::collections::BTreeMap;

use crate::world::World;

/// WCAG 2.2, 1.4.3.
const LEAST: f64 = 4.5;
/// What texts stand on.
const SURFACES: [&str; 3] = ["ground", "raised", "sunk"];
/// In which texts stand.
const TEXTS: [&str; 9] = ["text", "quiet", "neutral", "moving", "you", "done", "failed", "held", "link"];

/// The colours of `:root`, the light ones and the dark ones, as numbers from 0 to 1.
fn palettes(css: &str) -> Vec<BTreeMap<&str, [f64; 3]>> {
    let roots = css.split(":root {").skip(1).take(2).map(|root| root.split('}').next().unwrap());
    let colour = |line: &str| -> [f64; 3] {
        let number = u32::from_str_radix(line.trim().trim_start_matches('#'), 16).unwrap();
        [16, 8, 0].map(|shift| f64::from(number >> shift & 0xff) / 255.0)
    };
    roots
        .map(|root| {
            let lines = root.split(';').filter_map(|line| line.trim().strip_prefix("--")?.split_once(": "));
            lines.filter(|(_, value)| value.starts_with('#')).map(|(name, value)| (name, colour(value))).collect()
        })
        .collect()
}

fn luminance(colour: [f64; 3]) -> f64 {
    let linear = |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
    let [red, green, blue] = colour.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[tokio::test]
async fn every_colour_can_be_read_on_every_surface() {
    let css = World::new().get("/static/page.css").await;
    let palettes = palettes(css.text());
    assert_eq!(palettes.len(), 2, "light and dark");
    for palette in &palettes {
        for surface in SURFACES {
            for text in TEXTS {
                let contrast = contrast(palette[text], palette[surface]);
                assert!(contrast >= LEAST, "{text} on {surface}: {contrast:.2}");
            }
        }
        assert!(contrast(palette["text"], palette["line"]) >= LEAST);
        // Of what is filled with its colour, the text has the ground's.
        assert!(contrast(palette["ground"], palette["you"]) >= LEAST);
    }
}

#[tokio::test]
async fn nothing_stands_on_a_surface_that_is_not_looked_at() {
    let css = World::new().get("/static/page.css").await;
    for rule in css.text().lines().filter(|line| line.contains("background: var(--")) {
        let surface = rule.split("background: var(--").nth(1).unwrap().split(')').next().unwrap();
        let is_filled = matches!(surface, "you" | "done" | "moving");
        // Only what has no text, or the text's own colour, stands on the lines' colour.
        let is_line =
            surface == "line" && (rule.contains(":hover") && !rule.contains("grave") || rule.contains(".shares"));
        assert!(SURFACES.contains(&surface) || is_filled || is_line, "{rule}");
    }
}
