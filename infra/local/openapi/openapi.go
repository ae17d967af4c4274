// Package openapi joins the documents that the HTTP functions have of their own
// operations into the one of the whole surface, which functions/console serves.
package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// Environment holds settings with which every function can be built, and none
// can reach anything.
var Environment = map[string]string{
	"DATABASE_URL":         "postgres://nobody@127.0.0.1:1/nothing",
	"WORKER_DATABASE_URL":  "postgres://nobody@127.0.0.1:1/nothing",
	"GOOGLE_CLOUD_PROJECT": "nothing",
	"PUBLIC_BASE_URL":      "http://127.0.0.1:1",
	"SUPABASE_URL":         "http://127.0.0.1:1",
	"VIDEO_BUCKET":         "gs://nothing",
}

// Document returns the OpenAPI document of the HTTP functions in linked, in the
// manifest's order, as indented JSON. The environment must let them be built.
func Document(ctx context.Context, manifest *functions.Manifest, linked map[string]serve.Function) ([]byte, error) {
	whole := document{
		OpenAPI: "3.1.0",
		Info:    about,
		Paths:   object{"/health": health},
	}
	for _, f := range manifest.Functions {
		one, ok := linked[f.Name]
		if !ok || f.Trigger != functions.HTTP {
			continue
		}
		part, err := of(ctx, one)
		if err != nil {
			return nil, fmt.Errorf("document of %s: %w", f.Name, err)
		}
		if len(part.Paths) == 0 {
			continue
		}
		part.nameAfter(f.Name)
		if err := whole.add(part, f); err != nil {
			return nil, fmt.Errorf("document of %s: %w", f.Name, err)
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(whole)
	return out.Bytes(), err
}

type (
	object = map[string]any

	document struct {
		OpenAPI    string     `json:"openapi"`
		Info       huma.Info  `json:"info"`
		Tags       []tag      `json:"tags"`
		Paths      object     `json:"paths"`
		Components components `json:"components"`
	}

	tag struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	}

	components struct {
		Schemas         object `json:"schemas"`
		Responses       object `json:"responses"`
		SecuritySchemes object `json:"securitySchemes"`
	}
)

var about = huma.Info{
	Title:   "geminivideo",
	Version: serve.Version,
	Description: "Values CRM deals while they move, credits the ads that led to them, and splits budgets by what they return.\n\n" +
		"Money is in units of the account's currency, with that currency's decimals; times are RFC 3339 in UTC; " +
		"rates are 0 to 1 unless a percent is named. The tenant and the role are the access token's.",
}

var health = object{"get": object{
	"operationId": "get-health", "summary": "Says whether what this depends on is there.", "tags": []string{"health"},
	"responses": object{
		"200": object{"description": "It is."},
		"503": object{"$ref": "#/components/responses/ServiceUnavailable"},
	},
}}

// of builds a function and returns its own document.
func of(ctx context.Context, f serve.Function) (*document, error) {
	h, err := f.Build(ctx)
	if err != nil {
		return nil, err
	}
	api, ok := h.(interface{ OpenAPI() *huma.OpenAPI })
	if !ok {
		return nil, errors.New("its handler is no *serve.API")
	}
	data, err := json.Marshal(api.OpenAPI())
	if err != nil {
		return nil, err
	}
	var own document
	return &own, json.Unmarshal(data, &own)
}

// nameAfter puts the function's name before the names of its schemas, so that
// those of two functions never meet. What the edge gives to all functions alike,
// the problems, keeps its name; what nothing refers to goes.
func (d *document) nameAfter(function string) {
	common, used := object{}, object{}
	d.reach(d.Components.Responses, common)
	d.reach(d.Paths, used)
	prefix := http.CanonicalHeaderKey(function)
	named := object{}
	for name, schema := range d.Components.Schemas {
		switch {
		case common[name] != nil:
			named[name] = schema
		case used[name] != nil:
			named[prefix+name] = schema
		}
	}
	d.Components.Schemas = named
	rename := func(ref string) string {
		if name, ok := schemaName(ref); ok && common[name] == nil {
			return schemaPath + prefix + name
		}
		return ref
	}
	eachRef(d.Components.Schemas, rename)
	eachRef(d.Paths, rename)
}

// reach marks the schemas that from refers to, and those that they refer to.
func (d *document) reach(from any, marked object) {
	eachRef(from, func(ref string) string {
		if name, ok := schemaName(ref); ok && marked[name] == nil {
			marked[name] = true
			d.reach(d.Components.Schemas[name], marked)
		}
		return ref
	})
}

const schemaPath = "#/components/schemas/"

func schemaName(ref string) (name string, ok bool) { return strings.CutPrefix(ref, schemaPath) }

// eachRef gives every $ref in v to change and puts in its place what that returns.
func eachRef(v any, change func(string) string) {
	switch v := v.(type) {
	case object:
		for key, member := range v {
			if ref, ok := member.(string); ok && key == "$ref" {
				v[key] = change(ref)
				continue
			}
			eachRef(member, change)
		}
	case []any:
		for _, member := range v {
			eachRef(member, change)
		}
	}
}

// add takes over part's operations, tagged with the function's name.
func (d *document) add(part *document, f functions.Function) error {
	d.Tags = append(d.Tags, tag{f.Name, f.Summary})
	for path, item := range part.Paths {
		if d.Paths[path] != nil {
			return fmt.Errorf("%s is documented twice", path)
		}
		for _, operation := range item.(object) {
			operation.(object)["tags"] = []string{f.Name}
		}
		d.Paths[path] = item
	}
	for _, both := range []struct {
		into *object
		from object
	}{
		{&d.Components.Schemas, part.Components.Schemas},
		{&d.Components.Responses, part.Components.Responses},
		{&d.Components.SecuritySchemes, part.Components.SecuritySchemes},
	} {
		if *both.into == nil {
			*both.into = object{}
		}
		for _, name := range slices.Sorted(maps.Keys(both.from)) {
			if there := (*both.into)[name]; there != nil && !reflect.DeepEqual(there, both.from[name]) {
				return fmt.Errorf("component %s is not the same as another function's", name)
			}
			(*both.into)[name] = both.from[name]
		}
	}
	return nil
}
