// Package gemini asks Google's Gemini models, on the Developer API or on Vertex
// AI, for embeddings and for JSON that keeps to a schema. Every call has a
// deadline, waits as the server says before it tries again, and stops asking a
// model that has failed repeatedly; what it may cost is reserved before it is
// made and replaced by the real cost after it, under the tenant's cap of the day. Neither a prompt
// nor a key is ever part of an error or a log line.
package gemini

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"google.golang.org/genai"

	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// Config says which back end and which models. Nothing of it is needed: without
// a key and without a location there is no client.
type Config struct {
	// The key of the Developer API (Google AI Studio).
	APIKey string `env:"GEMINI_API_KEY"`
	// The project whose Vertex AI is used, where a location is given.
	Project string `env:"GOOGLE_CLOUD_PROJECT"`
	// A Vertex AI location such as us-central1, eu or global; it goes before a key.
	Location string `env:"GEMINI_VERTEX_LOCATION"`
	// Another address of the API: a proxy, or a test's server.
	BaseURL string `env:"GEMINI_BASE_URL"`
	// The model that writes and looks at videos.
	Model string `env:"GEMINI_MODEL, default=gemini-3.8-flash"`
	// The model that embeds; when it changes, every winner is embedded anew.
	EmbeddingModel string `env:"GEMINI_EMBEDDING_MODEL, default=gemini-embedding-2"`
	// How long a call that writes may take with all its tries; an embedding has 10 s.
	Timeout time.Duration `env:"GEMINI_TIMEOUT, default=45s"`
	// What one tenant may spend in a day (UTC), in USD, on models with a known price.
	DailyCap float64 `env:"GEMINI_DAILY_CAP_USD, default=10"`
	// What one tenant may use in a day (UTC), in tokens of all models; it holds
	// where a price is not known, too.
	DailyTokens int64 `env:"GEMINI_DAILY_TOKENS, default=20000000"`
	// USD per million tokens: model:input/output, model:input, ...
	Prices Prices `env:"GEMINI_PRICES"`
}

// Client asks Gemini for all tenants. It is safe for concurrent use.
type Client struct {
	cfg    Config
	vertex bool
	api    *genai.Client
	usage  usage

	rest     time.Duration // how long a model that failed repeatedly is left alone
	mu       sync.Mutex
	breakers map[string]*gobreaker.CircuitBreaker[any]
}

// maxCap is more USD than anybody means, and fits in millionths.
const maxCap = 1e9

// Open returns a client, or nil without an error where neither a key nor a
// Vertex location is configured: callers then do without it.
func Open(_ context.Context, cfg Config, db *pg.DB) (*Client, error) {
	if cfg.APIKey == "" && cfg.Location == "" {
		return nil, nil
	}
	if !(cfg.DailyCap >= 0 && cfg.DailyCap <= maxCap) || cfg.DailyTokens < 0 || cfg.Timeout <= 0 {
		return nil, errors.New("GEMINI_DAILY_CAP_USD and GEMINI_DAILY_TOKENS must not be negative, and GEMINI_TIMEOUT must be longer than nothing")
	}
	c := &Client{
		cfg: cfg, vertex: cfg.Location != "", usage: usage{db}, rest: breakerRest,
		breakers: map[string]*gobreaker.CircuitBreaker[any]{},
	}
	cc := &genai.ClientConfig{
		Backend: genai.BackendGeminiAPI, HTTPClient: &http.Client{Transport: transport{telemetry.Transport("gemini", nil)}},
		HTTPOptions: genai.HTTPOptions{BaseURL: cfg.BaseURL},
	}
	if c.vertex {
		if cfg.Project == "" {
			return nil, errors.New("GEMINI_VERTEX_LOCATION needs GOOGLE_CLOUD_PROJECT")
		}
		cc.Backend, cc.Project, cc.Location = genai.BackendVertexAI, cfg.Project, cfg.Location
		if !strings.HasPrefix(cfg.BaseURL, "http://") { // credentials never travel in the clear
			if err := cc.UseDefaultCredentials(); err != nil {
				return nil, errors.New("GEMINI_VERTEX_LOCATION is set, and no Google credentials are found")
			}
		}
	} else {
		cc.APIKey = cfg.APIKey
	}
	api, err := genai.NewClient(context.Background(), cc)
	if err != nil {
		return nil, errors.New("the settings of Gemini do not fit together") // genai's own words hold the key
	}
	c.api = api
	for _, model := range []string{cfg.Model, cfg.EmbeddingModel} {
		if _, known := cfg.Prices[model]; !known {
			slog.Warn("GEMINI_PRICES does not name this model: its tokens are counted, its cost is not", "model", model)
		}
	}
	return c, nil
}

// Request is one question.
type Request struct {
	// Tenant pays for it.
	Tenant string
	// Purpose is what it is for in the counts, such as plan or analysis.
	Purpose string
	// System tells the model what to do; it is the place of instructions, Parts
	// that of data.
	System string
	Parts  []Part
	// Schema is the JSON Schema that the answer keeps to; Validate says which
	// keywords are understood.
	Schema map[string]any
	// MaxOutputTokens bounds the answer, thoughts included; 16,384 where it is 0.
	MaxOutputTokens int
	// Model is the configured one where it is empty.
	Model string
}

// Part is text, or a file: its bytes (together at most MaxInline), or where it is
// (gs:// on Vertex, what Upload returned on the Developer API).
type Part struct {
	Text     string
	Data     []byte
	URI      string
	MIMEType string
	// Seconds is how long a file plays, which is what it costs by; a minute where
	// it is less.
	Seconds float64
}

// MaxInline is how many bytes of files a request may hold itself: base64 makes
// 20 MB of them, which is what the API takes.
const MaxInline = 15 << 20

// Answer is JSON that keeps to the request's schema, and what it took.
type Answer struct {
	JSON  json.RawMessage
	Model string // as the server names it
	// Tokens, as the server counts them; thoughts are output.
	InputTokens, OutputTokens int64
	// CostMicros is in millionths of a USD; 0 where the model's price is not known.
	CostMicros int64
}

// Vertex reports whether the back end is Vertex AI, which reads gs:// addresses;
// the Developer API reads what was uploaded to it.
func (c *Client) Vertex() bool { return c.vertex }

// Model names the model that is configured to write.
func (c *Client) Model() string { return c.cfg.Model }
