/** A setting that cannot be used. The message is the one line that stops the start: the variable, its value, what is allowed. */
export class ConfigError extends Error {}
