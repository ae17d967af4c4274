package fakegemini

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Models are those that exist; any other is 404.
var Models = []string{"gemini-3.8-flash", "gemini-3.5-flash-lite", "gemini-embedding-001", "gemini-embedding-2"}

// maxRequest is 20 MB with all that is inline.
const maxRequest = 20 << 20

func (f *Fake) routes() {
	f.mux = http.NewServeMux()
	f.mux.HandleFunc("POST /v1beta/models/{call}", f.developer)
	f.mux.HandleFunc("POST /v1beta1/projects/{project}/locations/{location}/publishers/google/models/{call}", f.onVertex)
	f.mux.HandleFunc("POST /upload/v1beta/files", f.begin)
	f.mux.HandleFunc("POST /upload/v1beta/files/{id}", f.finish)
	f.mux.HandleFunc("GET /v1beta/files/{id}", f.look)
	f.mux.HandleFunc("DELETE /v1beta/files/{id}", f.remove)
	f.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Not Found", http.StatusNotFound) })
}

func (f *Fake) developer(w http.ResponseWriter, r *http.Request) {
	model, method, _ := strings.Cut(r.PathValue("call"), ":")
	switch {
	case !known(w, model):
	case method == "generateContent":
		f.generate(w, r, model, false)
	case method == "batchEmbedContents":
		f.batchEmbed(w, r, model)
	default:
		http.Error(w, "Not Found", http.StatusNotFound)
	}
}

func (f *Fake) onVertex(w http.ResponseWriter, r *http.Request) {
	model, method, _ := strings.Cut(r.PathValue("call"), ":")
	switch {
	case !known(w, model):
	case method == "generateContent":
		f.generate(w, r, model, true)
	case method == "embedContent" && model != "gemini-embedding-001":
		f.embedContent(w, r, model)
	case method == "predict" && model == "gemini-embedding-001":
		f.predict(w, r, model)
	default:
		http.Error(w, "Not Found", http.StatusNotFound)
	}
}

func known(w http.ResponseWriter, model string) bool {
	if slices.Contains(Models, model) {
		return true
	}
	refuse(w, http.StatusNotFound, "NOT_FOUND", "models/"+model+" is not found for API version v1beta, or is not supported for generateContent.")
	return false
}

// decode reads a body strictly, as Google does: an unknown name is refused.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		invalid(w, "Invalid JSON payload received. "+err.Error())
		return false
	}
	return true
}

type wireContent struct {
	Role  string     `json:"role"`
	Parts []wirePart `json:"parts"`
}

type wirePart struct {
	Text       string `json:"text"`
	InlineData *struct {
		MIMEType string `json:"mimeType"`
		Data     string `json:"data"`
	} `json:"inlineData"`
	FileData *struct {
		MIMEType string `json:"mimeType"`
		FileURI  string `json:"fileUri"`
	} `json:"fileData"`
}

func (f *Fake) generate(w http.ResponseWriter, r *http.Request, model string, vertex bool) {
	var body struct {
		Contents          []wireContent `json:"contents"`
		SystemInstruction *wireContent  `json:"systemInstruction"`
		GenerationConfig  struct {
			ResponseMIMEType   string         `json:"responseMimeType"`
			ResponseJSONSchema map[string]any `json:"responseJsonSchema"`
			MaxOutputTokens    int            `json:"maxOutputTokens"`
		} `json:"generationConfig"`
	}
	if !decode(w, r, &body) {
		return
	}
	config := body.GenerationConfig
	call := Call{Model: model, Vertex: vertex, Schema: config.ResponseJSONSchema, MaxOutputTokens: config.MaxOutputTokens}
	if body.SystemInstruction != nil {
		for _, p := range body.SystemInstruction.Parts {
			call.System += p.Text
		}
	}
	if len(body.Contents) == 0 {
		invalid(w, "contents are required")
		return
	}
	for _, content := range body.Contents {
		if content.Role != "user" && content.Role != "model" {
			invalid(w, "Please use a valid role: user, model.")
			return
		}
		for _, p := range content.Parts {
			part, wrong := f.part(p, vertex)
			if wrong != "" {
				invalid(w, wrong)
				return
			}
			call.Parts = append(call.Parts, part)
		}
	}
	if config.ResponseJSONSchema != nil && config.ResponseMIMEType != "application/json" {
		invalid(w, "response_mime_type must be application/json with a schema")
		return
	}
	if wrong := unsupported(config.ResponseJSONSchema); wrong != "" {
		invalid(w, wrong)
		return
	}
	f.mu.Lock()
	f.calls = append(f.calls, call)
	f.mu.Unlock()
	answer(w, f.write(call, faultOf(r)))
}

var (
	uploaded = regexp.MustCompile(`/v1beta/files/([a-z0-9-]+)$`)
	keywords = []string{
		"$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items", "prefixItems", "minItems", "maxItems",
		"minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties", "required", "propertyOrdering",
	}
)

func (f *Fake) part(p wirePart, vertex bool) (part Part, wrong string) {
	switch {
	case p.InlineData != nil:
		data, err := base64.StdEncoding.DecodeString(p.InlineData.Data)
		if err != nil || p.InlineData.MIMEType == "" {
			return part, "inlineData needs base64 and a mimeType"
		}
		return Part{Data: data, MIMEType: p.InlineData.MIMEType}, ""
	case p.FileData != nil:
		part = Part{URI: p.FileData.FileURI, MIMEType: p.FileData.MIMEType}
		if part.MIMEType == "" {
			return part, "fileData needs a mimeType"
		}
		if vertex {
			if !strings.HasPrefix(part.URI, "gs://") {
				return part, "Unsupported file URI: " + part.URI
			}
			return part, ""
		}
		id := uploaded.FindStringSubmatch(part.URI)
		f.mu.Lock()
		defer f.mu.Unlock()
		if id == nil || f.files[id[1]] == nil || f.files[id[1]].looks < f.Look {
			return part, "Unsupported file URI, or a file that is not in an ACTIVE state"
		}
		return part, ""
	case p.Text == "":
		return part, "a part must hold data"
	}
	return Part{Text: p.Text}, ""
}

// unsupported returns what the API says of a schema with a keyword that it does
// not take.
func unsupported(schema map[string]any) string {
	for key, rule := range schema {
		if !slices.Contains(keywords, key) {
			return fmt.Sprintf("Invalid JSON payload received. Unknown name %q at 'generation_config.response_json_schema'", key)
		}
		inner, _ := rule.(map[string]any)
		if key == "properties" {
			for _, member := range inner {
				one, _ := member.(map[string]any)
				if wrong := unsupported(one); wrong != "" {
					return wrong
				}
			}
		} else if key == "items" {
			if wrong := unsupported(inner); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

// write is what the model answers.
func (f *Fake) write(call Call, o *Fault) map[string]any {
	prompt := tokens(call.System)
	for _, p := range call.Parts {
		prompt += tokens(p.Text) + len(p.Data)/1000
		if p.URI != "" {
			prompt += 6000
		}
	}
	text := "{}"
	f.mu.Lock()
	write := f.Write
	f.mu.Unlock()
	if write != nil {
		text = write(call)
	}
	if o.text != nil {
		text = *o.text
	}
	finish := "STOP"
	switch {
	case o.finish == "MAX_TOKENS":
		finish, text = o.finish, text[:len(text)/2]
	case o.finish != "":
		finish, text = o.finish, ""
	}
	usage := map[string]any{
		"promptTokenCount": prompt, "candidatesTokenCount": tokens(text), "thoughtsTokenCount": 5,
		"totalTokenCount": prompt + tokens(text) + 5,
	}
	body := map[string]any{"modelVersion": call.Model + "-002", "responseId": "r1", "usageMetadata": usage}
	switch {
	case o.blocked != "":
		body["promptFeedback"] = map[string]any{"blockReason": o.blocked}
		usage["candidatesTokenCount"], usage["thoughtsTokenCount"] = 0, 0
	case !o.empty:
		candidate := map[string]any{"finishReason": finish, "index": 0}
		if text != "" {
			candidate["content"] = map[string]any{"role": "model", "parts": []any{map[string]any{"text": text}}}
		}
		body["candidates"] = []any{candidate}
	}
	if o.noUsage {
		delete(body, "usageMetadata")
	}
	return body
}
