package fakegemini

import (
	"fmt"
	"math"
	"net/http"
)

var tasks = map[string]bool{
	"": true, "RETRIEVAL_DOCUMENT": true, "RETRIEVAL_QUERY": true, "SEMANTIC_SIMILARITY": true, "CLASSIFICATION": true, "CLUSTERING": true,
}

// limits is how many tokens a model reads of a text.
var limits = map[string]int{"gemini-embedding-001": 2048, "gemini-embedding-2": 8192}

func (f *Fake) batchEmbed(w http.ResponseWriter, r *http.Request, model string) {
	var body struct {
		Requests []struct {
			Model                string      `json:"model"`
			Content              wireContent `json:"content"`
			TaskType             string      `json:"taskType"`
			Title                string      `json:"title"`
			OutputDimensionality int         `json:"outputDimensionality"`
		} `json:"requests"`
	}
	if !decode(w, r, &body) {
		return
	}
	if n := len(body.Requests); n == 0 || n > 100 {
		invalid(w, fmt.Sprintf("BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch, got %d", n))
		return
	}
	var vectors []any
	for _, one := range body.Requests {
		if one.Model != "models/"+model {
			invalid(w, "the model of a request must be the batch's")
			return
		}
		v, wrong := f.vector(model, one.TaskType, one.Content, one.OutputDimensionality, faultOf(r))
		if wrong != "" {
			invalid(w, wrong)
			return
		}
		vectors = append(vectors, map[string]any{"values": v})
	}
	f.size(len(body.Requests))
	answer(w, map[string]any{"embeddings": vectors[:max(len(vectors)-faultOf(r).lost, 0)]})
}

func (f *Fake) embedContent(w http.ResponseWriter, r *http.Request, model string) {
	var body struct {
		Content            wireContent `json:"content"`
		EmbedContentConfig struct {
			TaskType             string `json:"taskType"`
			Title                string `json:"title"`
			OutputDimensionality int    `json:"outputDimensionality"`
			AutoTruncate         bool   `json:"autoTruncate"`
		} `json:"embedContentConfig"`
	}
	if !decode(w, r, &body) {
		return
	}
	config := body.EmbedContentConfig
	v, wrong := f.vector(model, config.TaskType, body.Content, config.OutputDimensionality, faultOf(r))
	if wrong != "" {
		invalid(w, wrong)
		return
	}
	f.size(1)
	answer(w, map[string]any{
		"embedding": map[string]any{"values": v}, "truncated": false,
		"usageMetadata": map[string]any{"promptTokenCount": tokens(body.Content.Parts[0].Text)},
	})
}

func (f *Fake) predict(w http.ResponseWriter, r *http.Request, model string) {
	var body struct {
		Instances []struct {
			Content  string `json:"content"`
			TaskType string `json:"task_type"`
			Title    string `json:"title"`
		} `json:"instances"`
		Parameters struct {
			OutputDimensionality int  `json:"outputDimensionality"`
			AutoTruncate         bool `json:"autoTruncate"`
		} `json:"parameters"`
	}
	if !decode(w, r, &body) {
		return
	}
	if len(body.Instances) != 1 {
		invalid(w, fmt.Sprintf("gemini-embedding-001 takes one instance per request, got %d", len(body.Instances)))
		return
	}
	one := body.Instances[0]
	v, wrong := f.vector(model, one.TaskType, wireContent{Parts: []wirePart{{Text: one.Content}}}, body.Parameters.OutputDimensionality,
		faultOf(r))
	if wrong != "" {
		invalid(w, wrong)
		return
	}
	f.size(1)
	answer(w, map[string]any{"predictions": []any{map[string]any{"embeddings": map[string]any{
		"values": v, "statistics": map[string]any{"token_count": tokens(one.Content), "truncated": false},
	}}}})
}

func (f *Fake) size(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.largest = max(f.largest, n)
}

// vector embeds one content. The older model scales only its full 3072
// dimensions to the length one, as the real one does.
func (f *Fake) vector(model, task string, content wireContent, dimensions int, o *Fault) ([]float32, string) {
	switch {
	case limits[model] == 0:
		return nil, "models/" + model + " does not embed"
	case len(content.Parts) != 1 || content.Parts[0].Text == "":
		return nil, "content must hold one text"
	case !tasks[task]:
		return nil, "Invalid value at 'task_type'"
	case dimensions < 128 || dimensions > 3072:
		return nil, "output_dimensionality must be between 128 and 3072"
	}
	text := content.Parts[0].Text
	if tokens(text) > limits[model] {
		return nil, fmt.Sprintf("the input token count exceeds the maximum number of tokens allowed (%d)", limits[model])
	}
	f.mu.Lock()
	refuse, said := f.Refuse, f.Embed
	f.mu.Unlock()
	if refuse != nil && refuse(text) {
		return nil, "Request contains an invalid argument."
	}
	f.mu.Lock()
	f.texts = append(f.texts, Embedded{model, task, text})
	f.mu.Unlock()
	if said == nil {
		said = meaning
	}
	if o.dimensions > 0 {
		dimensions = o.dimensions
	}
	v := make([]float32, dimensions)
	copy(v, said(model, text))
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	scale := 1 / math.Sqrt(max(sum, 1e-30))
	if model == "gemini-embedding-001" && dimensions < 3072 {
		scale *= 0.7
	}
	for i := range v {
		v[i] = float32(float64(v[i]) * scale)
	}
	return v, ""
}
