package gemini

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/genai"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// defaultOutput has room for the thoughts of a model that thinks first.
const defaultOutput = 16_384

// Generate asks a model and returns JSON that keeps to the request's schema. It
// counts what the call took, even where the answer cannot be used.
//
// Its errors are a fault of the kind Unavailable where the model is down, slow,
// out of quota or left alone for a moment, *Refused, *Capped, ErrTruncated and
// ErrNonsense.
func (c *Client) Generate(ctx context.Context, r Request) (Answer, error) {
	if r.Model == "" {
		r.Model = c.cfg.Model
	}
	if r.MaxOutputTokens == 0 {
		r.MaxOutputTokens = defaultOutput
	}
	contents, config, estimate, err := r.wire()
	if err != nil {
		return Answer{}, err
	}
	reserved, err := c.reserve(ctx, r.Tenant, r.Model, r.Purpose, estimate, int64(r.MaxOutputTokens))
	if err != nil {
		return Answer{}, err
	}
	var resp *genai.GenerateContentResponse
	unsure, err := c.call(ctx, r.Model, c.cfg.Timeout, c.cfg.Timeout, func(ctx context.Context) (err error) {
		resp, err = c.api.Models.GenerateContent(ctx, r.Model, contents, config)
		return err
	})
	if err != nil {
		c.charge(ctx, reserved, unsure*estimate, 0, true)
		return Answer{}, err
	}
	input, output := tokensUsed(resp, estimate)
	answer := Answer{Model: r.Model, InputTokens: input, OutputTokens: output, CostMicros: c.cfg.Prices.cost(r.Model, input, output)}
	if resp.ModelVersion != "" {
		answer.Model = resp.ModelVersion
	}
	answer.JSON, err = read(resp, r.Schema)
	c.charge(ctx, reserved, input+unsure*estimate, output, err != nil)
	if err != nil {
		return Answer{}, fmt.Errorf("ask %s for %s: %w", r.Model, r.Purpose, err)
	}
	return answer, nil
}

// wire returns the request as genai sends it, and how many tokens it may be.
func (r Request) wire() ([]*genai.Content, *genai.GenerateContentConfig, int64, error) {
	config := &genai.GenerateContentConfig{
		ResponseMIMEType: "application/json", MaxOutputTokens: int32(r.MaxOutputTokens), AutomaticContinuation: new(bool),
	}
	if r.Schema != nil {
		rules, err := plain(r.Schema)
		if err != nil {
			return nil, nil, 0, err
		}
		config.ResponseJsonSchema = wire(rules)
	}
	if r.System != "" {
		config.SystemInstruction = &genai.Content{Parts: []*genai.Part{{Text: r.System}}}
	}
	estimate, inline := tokensOf(r.System), 0
	content := &genai.Content{Role: genai.RoleUser}
	for _, p := range r.Parts {
		switch {
		case p.URI != "":
			estimate += p.file()
			content.Parts = append(content.Parts, genai.NewPartFromURI(p.URI, p.MIMEType))
		case p.Data != nil:
			estimate += p.file()
			inline += len(p.Data)
			content.Parts = append(content.Parts, genai.NewPartFromBytes(p.Data, p.MIMEType))
		default:
			estimate += tokensOf(p.Text)
			content.Parts = append(content.Parts, genai.NewPartFromText(p.Text))
		}
	}
	if inline > MaxInline {
		return nil, nil, 0, fault.Invalidf("the file is larger than the %d MB that may be sent along with a question", MaxInline>>20)
	}
	return []*genai.Content{content}, config, estimate, nil
}

// tokensUsed returns what the server counted, or our estimate where it is silent.
func tokensUsed(resp *genai.GenerateContentResponse, estimate int64) (input, output int64) {
	u := resp.UsageMetadata
	if u == nil {
		return estimate, tokensOf(textOf(resp))
	}
	return int64(u.PromptTokenCount) + int64(u.ToolUsePromptTokenCount), int64(u.CandidatesTokenCount) + int64(u.ThoughtsTokenCount)
}

// read takes the JSON out of an answer, if it is one that may be used.
func read(resp *genai.GenerateContentResponse, schema map[string]any) (json.RawMessage, error) {
	if f := resp.PromptFeedback; f != nil && f.BlockReason != "" {
		return nil, &Refused{Reason: word(string(f.BlockReason))}
	}
	if len(resp.Candidates) == 0 || resp.Candidates[0] == nil {
		return nil, fmt.Errorf("no candidates: %w", ErrNonsense)
	}
	switch reason := resp.Candidates[0].FinishReason; reason {
	case genai.FinishReasonStop, genai.FinishReasonUnspecified, "":
	case genai.FinishReasonMaxTokens, genai.FinishReasonContinuation:
		return nil, ErrTruncated
	case genai.FinishReasonOther, genai.FinishReasonMalformedFunctionCall, genai.FinishReasonUnexpectedToolCall,
		genai.FinishReasonTooManyToolCalls:
		return nil, fmt.Errorf("ended with %s: %w", word(string(reason)), ErrNonsense)
	default: // what is new here is most likely a refusal of a new name
		return nil, &Refused{Reason: word(string(reason))}
	}
	text := textOf(resp)
	if err := Validate(schema, []byte(text)); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrNonsense)
	}
	return json.RawMessage(text), nil
}

// textOf returns what the first candidate wrote, without its thoughts.
func textOf(resp *genai.GenerateContentResponse) string {
	var b strings.Builder
	if len(resp.Candidates) > 0 && resp.Candidates[0] != nil && resp.Candidates[0].Content != nil {
		for _, p := range resp.Candidates[0].Content.Parts {
			if p != nil && !p.Thought {
				b.WriteString(p.Text)
			}
		}
	}
	return b.String()
}

// reserve holds what a call may cost at most.
func (c *Client) reserve(ctx context.Context, tenant, model, purpose string, input, output int64) (reservation, error) {
	return c.usage.reserve(ctx, reservation{
		tenant: tenant, model: model, purpose: purpose,
		tokens: input + output, micros: c.cfg.Prices.cost(model, input, output),
	}, int64(c.cfg.DailyCap*1e6), c.cfg.DailyTokens)
}

func (c *Client) charge(ctx context.Context, reserved reservation, input, output int64, failed bool) {
	c.usage.charge(ctx, reserved, spent{input, output, c.cfg.Prices.cost(reserved.model, input, output), failed})
}
