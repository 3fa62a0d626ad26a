/** `Number` of the text, which JSON allows as a number: for what is not exact by one division. */
@external("env", "parseNumber")
export declare function parseNumber(start: usize, end: usize): f64;
