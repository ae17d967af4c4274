package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/gemini"
)

// Config says what happens when the language model does not write.
type Config struct {
	// What serves where the model is down, slow, out of quota or answers nonsense: template or error.
	Fallback Fallback `env:"DIRECTOR_FALLBACK, default=template"`
	// How long the model may take over a plan, with both of its tries.
	Timeout time.Duration `env:"DIRECTOR_TIMEOUT, default=40s"`
}

// Fallback is what serves where the model does not.
type Fallback string

// The fallbacks.
const (
	FallbackTemplate Fallback = "template" // the template's plan, labelled as such
	FallbackError    Fallback = "error"    // the error itself, with Retry-After
)

// UnmarshalText reads a setting.
func (f *Fallback) UnmarshalText(text []byte) error {
	if *f = Fallback(text); *f != FallbackTemplate && *f != FallbackError {
		return errors.New("must be template or error")
	}
	return nil
}

// Director writes plans.
type Director struct {
	sources  Sources
	model    *gemini.Client
	fallback Fallback
	timeout  time.Duration
}

// New returns a director. Without a model (nil) the template writes all plans.
func New(sources Sources, model *gemini.Client, cfg Config) Director {
	return Director{sources, model, cfg.Fallback, cfg.Timeout}
}

// errUnfit is returned where the model's second try broke rules as well.
var errUnfit = &fault.Error{
	Kind: fault.Unavailable, RetryAfter: 30 * time.Second,
	Message: "the AI model wrote a plan that breaks the rules of plans twice in a row; nothing of it was used, and another try may go better",
}

// Write writes the plan for a brief of tenant. It uses the network, and so must
// not be called in a transaction.
func (d Director) Write(ctx context.Context, tenant string, b Brief) (Content, By, error) {
	if d.model == nil {
		return content(b, Template(b)), By{TemplateName, "no language model is configured"}, nil
	}
	draft, model, err := d.ask(ctx, tenant, b)
	switch {
	case err == nil:
		return content(b, draft), By{GeneratedBy: model}, nil
	case ctx.Err() != nil: // whoever asked is gone, or out of time
		return Content{}, By{}, ctx.Err()
	case d.fallback == FallbackError:
		return Content{}, By{}, fmt.Errorf("have the plan written: %w", err)
	}
	slog.WarnContext(ctx, "director: the template writes this plan", "tenant", tenant, "kind", string(b.Kind), "error", err.Error())
	return content(b, Template(b)), By{TemplateName, Why(err)}, nil
}

// Why says in public words why something that a plan needs did not answer.
func Why(err error) string {
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		why, _, _ := strings.Cut(known.Message, ";") // the rest is advice to a caller who got nothing
		return why
	case errors.Is(err, context.DeadlineExceeded):
		return "there was no answer in time"
	}
	return "something inside failed; the log says what"
}

// ask has the model write the plan, and once more where its answer breaks rules.
func (d Director) ask(ctx context.Context, tenant string, b Brief) (Draft, string, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	prompt, schema := PromptFor(b), Schema(b)
	for try := 1; ; try++ {
		answer, err := d.model.Generate(ctx, prompt.request(tenant, schema))
		var broken []string
		switch {
		case err == nil:
			var draft Draft
			if draft, broken = ParseDraft(answer.JSON, b); len(broken) == 0 {
				return draft, answer.Model, nil
			}
			err = &fault.Error{
				Kind: errUnfit.Kind, RetryAfter: errUnfit.RetryAfter, Message: errUnfit.Message,
				Cause: errors.New(summary(broken)),
			}
		case errors.Is(err, gemini.ErrNonsense):
			place, _, _ := strings.Cut(err.Error(), ": "+gemini.ErrNonsense.Error()) // it names the place and the rule
			broken = []string{"the plan must be a JSON object that keeps to the schema: " + place}
		case ctx.Err() != nil:
			return Draft{}, "", fault.Down("the AI model did not answer in time", err)
		default:
			return Draft{}, "", err
		}
		if try == 2 {
			return Draft{}, "", err
		}
		prompt = prompt.again(answer.JSON, broken)
	}
}

// maxOutputTokens is several times what a plan of thirty scenes takes: models
// think before they write, and that counts.
const maxOutputTokens = 16_384

func (p Prompt) request(tenant string, schema map[string]any) gemini.Request {
	r := gemini.Request{Tenant: tenant, Purpose: "plan", System: p.System, Schema: schema, MaxOutputTokens: maxOutputTokens}
	for _, part := range p.Parts {
		r.Parts = append(r.Parts, gemini.Part{Text: part})
	}
	return r
}

// summary is what the log keeps of broken rules.
func summary(broken []string) string {
	if len(broken) == 1 {
		return broken[0]
	}
	return fmt.Sprintf("%s (and %d more)", broken[0], len(broken)-1)
}
