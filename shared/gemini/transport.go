package gemini

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxAnswer is more than any answer that is asked for; maxRefusal is what of a
// refusal is read.
const (
	maxAnswer  = 32 << 20
	maxRefusal = 64 << 10
)

// seen is what the server answered to the latest request of a try. genai tells
// of it in words that hold the prompt, or loses it on the way.
type seen struct {
	answered bool // with success, whatever the body is worth
	refusal  *failure
}

type seenKey struct{}

// watch returns a context whose requests tell seen what the server answered.
func watch(ctx context.Context) (context.Context, *seen) {
	s := &seen{}
	return context.WithValue(ctx, seenKey{}, s), s
}

// transport bounds what an answer may hold, and reads refusals as they come.
type transport struct{ base http.RoundTripper }

// RoundTrip sends r.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	s, watched := r.Context().Value(seenKey{}).(*seen)
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		if watched {
			s.answered = true
		}
		resp.Body = limited{io.LimitReader(resp.Body, maxAnswer), resp.Body}
		return resp, nil
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if watched {
		s.refusal = refusalOf(resp, body)
	}
	return resp, nil
}

type limited struct {
	io.Reader
	io.Closer
}

// refusalOf reads what Google says of a request that it does not answer: the
// kind, why, and how long to wait. The message is left out, for it may quote the
// request.
func refusalOf(resp *http.Response, body []byte) *failure {
	f := &failure{status: resp.StatusCode, wait: retryAfter(resp.Header.Get("Retry-After"))}
	var said struct {
		Error struct {
			Status  string           `json:"status"`
			Details []map[string]any `json:"details"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &said) != nil {
		return f
	}
	f.code = word(said.Error.Status)
	for _, d := range said.Error.Details {
		kind, _ := d["@type"].(string)
		switch kind[strings.LastIndexByte(kind, '.')+1:] {
		case "RetryInfo":
			delay, _ := d["retryDelay"].(string)
			if wait, err := time.ParseDuration(delay); err == nil && wait > 0 {
				f.wait = wait
			}
		case "ErrorInfo":
			reason, _ := d["reason"].(string)
			f.reason = word(reason)
		case "QuotaFailure":
			f.quota = quotaOf(d)
		}
	}
	return f
}

func quotaOf(detail map[string]any) string {
	violations, _ := detail["violations"].([]any)
	for _, v := range violations {
		one, _ := v.(map[string]any)
		if id, _ := one["quotaId"].(string); id != "" {
			return word(id)
		}
	}
	return ""
}

// word lets through what a name may look like, and nothing else of what comes
// from outside into a log.
func word(s string) string {
	odd := func(r rune) bool {
		return !(r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	}
	if len(s) > 80 || strings.ContainsFunc(s, odd) {
		return "?"
	}
	return s
}

// retryAfter reads the header, in seconds or as a time.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
