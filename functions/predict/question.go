package predict

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/oracle"
)

// question is what a request asks, read.
type question struct {
	dna  creative.DNA
	near []oracle.Neighbour // nil where the caller named none
}

// Resolve reads what is open in the request.
func (in *gateInput) Resolve(huma.Context) []error {
	return in.asked.read(in.Body.CreativeDNA, in.Body.RAGContext)
}

// Resolve reads what is open in the request.
func (in *predictInput) Resolve(huma.Context) []error {
	return in.asked.read(in.Body.CreativeDNA, in.Body.RAGContext)
}

func (q *question) read(dna openJSON, rag anyJSON) (errs []error) {
	if len(dna) > 0 { // where it is missing, its being required says so
		var err error
		if q.dna, err = creative.Parse(dna); err != nil {
			errs = append(errs, &huma.ErrorDetail{Location: "body.creative_dna" + creative.Offender(dna, err), Message: err.Error()})
		}
		for _, o := range q.dna.OutOfRange() {
			errs = append(errs, &huma.ErrorDetail{Location: "body.creative_dna." + o.Path, Message: o.Rule})
		}
	}
	near, broken := neighbours(rag)
	q.near = near
	return append(errs, broken...)
}

// most is how many winners a rag_context may hold: as many as a search returns.
const most = 100

// neighbours reads a rag_context: null, a list of winners, or an object that holds
// one as winners, as search-winners answers; an object without one tells of none.
func neighbours(rag anyJSON) ([]oracle.Neighbour, []error) {
	const at = "body.rag_context"
	if len(rag) == 0 || bytes.Equal(bytes.TrimSpace(rag), []byte("null")) {
		return nil, nil
	}
	var tree any
	if err := json.Unmarshal(rag, &tree); err != nil {
		return nil, broken(at, "must be JSON with finite numbers")
	}
	path := at
	if object, ok := tree.(map[string]any); ok {
		winners, given := object["winners"]
		if !given || winners == nil {
			return []oracle.Neighbour{}, nil
		}
		path, tree = at+".winners", winners
	}
	list, ok := tree.([]any)
	switch {
	case !ok && path == at:
		return nil, broken(path, "must be an object or a list of winners")
	case !ok:
		return nil, broken(path, "must be a list of winners")
	case len(list) > most:
		return nil, broken(path, fmt.Sprintf("must have at most %d winners", most))
	}
	near := make([]oracle.Neighbour, 0, len(list))
	var errs []error
	for i, item := range list {
		n, wrong := neighbourOf(item, fmt.Sprintf("%s[%d]", path, i))
		near, errs = append(near, n), append(errs, wrong...)
	}
	return near, errs
}

// neighbourOf reads a winner: its ad_id and similarity; what else it says is open.
func neighbourOf(item any, path string) (n oracle.Neighbour, errs []error) {
	winner, ok := item.(map[string]any)
	if !ok {
		return n, broken(path, "must be an object with ad_id and similarity")
	}
	id, ok := winner["ad_id"].(string)
	if n.AdID = id; !ok || strings.TrimSpace(id) == "" || len(id) > 256 {
		errs = broken(path+".ad_id", "must be text of 1 to 256 characters")
	}
	similarity, ok := winner["similarity"].(float64)
	if n.Similarity = similarity; !ok || math.IsNaN(similarity) || similarity < 0 || similarity > 1 {
		errs = append(errs, broken(path+".similarity", "must be a number from 0 to 1")...)
	}
	return n, errs
}

func broken(path, rule string) []error {
	return []error{&huma.ErrorDetail{Location: path, Message: rule}}
}

// openJSON is an object of any members, as it was sent.
type openJSON json.RawMessage

// Schema tells the OpenAPI document.
func (openJSON) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

// UnmarshalJSON keeps the object as it came.
func (o *openJSON) UnmarshalJSON(data []byte) error {
	*o = bytes.Clone(data)
	return nil
}

// anyJSON is an object, a list or null, as it was sent.
type anyJSON json.RawMessage

// Schema tells the OpenAPI document.
func (anyJSON) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "An object, a list, or null.",
		Examples:    []any{[]any{map[string]any{"ad_id": "23842", "similarity": 0.8}}},
	}
}

// UnmarshalJSON keeps what came.
func (a *anyJSON) UnmarshalJSON(data []byte) error {
	*a = bytes.Clone(data)
	return nil
}
