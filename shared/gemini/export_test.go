package gemini

import "time"

// Rest sets how long a model that failed repeatedly is left alone.
func (c *Client) Rest(d time.Duration) { c.rest = d }

// Cut is cut.
func Cut(text string, limit int64) string { return cut(text, limit) }

// TokensOf is tokensOf.
func TokensOf(text string) int64 { return tokensOf(text) }
