package winners

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
	memory "github.com/geminivideo/geminivideo/shared/winners"
)

type searchInput struct {
	Body struct {
		Query         query   `json:"query"`
		TopK          int     `json:"top_k,omitempty" default:"5" minimum:"1" maximum:"100"`
		MinCTR        float64 `json:"min_ctr,omitempty" default:"0" minimum:"0" maximum:"1" doc:"A rate: 0.02 is 2%."`
		MinSimilarity float64 `json:"min_similarity,omitempty" default:"0" minimum:"0" maximum:"1"`
	}
}

// query is text, a creative DNA as JSON in a text, or the DNA itself.
type query struct{ json.RawMessage }

// Schema tells the OpenAPI document; the rules themselves are in text.
func (query) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "Text, or a creative DNA as JSON (an object, or a text that holds one); at most 32 kB.",
		Examples:    []any{"fast cuts, a question as the hook"},
	}
}

// text returns what was asked, to be answered, and what is embedded of it.
func (q query) text() (said, embedded string, err error) {
	if json.Unmarshal(q.RawMessage, &said) != nil {
		dna, err := creative.Parse(q.RawMessage)
		if err != nil {
			return "", "", fault.Field("body.query", "must be text, or a creative DNA: "+err.Error())
		}
		said = string(dna.JSON())
	}
	switch {
	case strings.TrimSpace(said) == "":
		return "", "", fault.Field("body.query", "must not be empty")
	case len(said) > creative.MaxBytes:
		return "", "", fault.Field("body.query", creative.ErrTooLarge.Error())
	case !strings.HasPrefix(strings.TrimSpace(said), "{"):
		return said, said, nil
	}
	dna, err := creative.Parse([]byte(said))
	if err != nil { // a text may begin with a brace
		return said, said, nil
	}
	if embedded = dna.Text(); embedded == "" {
		return "", "", fault.Field("body.query", "must not be an empty creative DNA")
	}
	return said, embedded, nil
}

type searchOutput struct {
	Body struct {
		Query          string   `json:"query"`
		TotalInMemory  int64    `json:"total_in_memory"`
		ResultsFound   int      `json:"results_found"`
		Winners        []winner `json:"winners"`
		MemoryBackend  string   `json:"memory_backend"`
		EmbeddingModel string   `json:"embedding_model"`
	}
}

type winner struct {
	AdID       string   `json:"ad_id"`
	Similarity float64  `json:"similarity" doc:"Cosine, 0 to 1."`
	Metadata   metadata `json:"metadata"`
}

type metadata struct {
	CreativeDNA  openJSON `json:"creative_dna"`
	PipelineROAS float64  `json:"pipeline_roas"`
	CTR          float64  `json:"ctr" doc:"A rate: 0.02 is 2%."`
}

// openJSON is an object of any members, as the database holds it.
type openJSON json.RawMessage

// Schema tells the OpenAPI document.
func (openJSON) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

// MarshalJSON returns the object as it is.
func (o openJSON) MarshalJSON() ([]byte, error) { return o, nil }

// UnmarshalJSON keeps the object as it came.
func (o *openJSON) UnmarshalJSON(data []byte) error {
	*o = bytes.Clone(data)
	return nil
}

func (f *function) search(ctx context.Context, in *searchInput) (*searchOutput, error) {
	said, embedded, err := in.Body.Query.text()
	if err != nil {
		return nil, err
	}
	tenant := auth.From(ctx).Tenant
	q, err := memory.Probe(ctx, f.db, f.models, tenant, embedded)
	if err != nil {
		return nil, err
	}
	q.K, q.MinCTR, q.MinSimilarity = in.Body.TopK, in.Body.MinCTR, in.Body.MinSimilarity
	var found memory.Result
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) (err error) {
		found, err = memory.NewStore(tx).Search(ctx, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &searchOutput{}
	b := &out.Body
	b.Query, b.TotalInMemory, b.ResultsFound = said, found.Total, len(found.Matches)
	b.MemoryBackend, b.EmbeddingModel = backend, q.Model
	b.Winners = make([]winner, len(found.Matches))
	for i, m := range found.Matches {
		b.Winners[i] = winner{m.AdID, m.Similarity, metadata{openJSON(m.DNA), m.ROAS, m.CTR}}
	}
	return out, nil
}
