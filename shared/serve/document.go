package serve

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/geminivideo/geminivideo/shared/auth"
)

// describe is what the OpenAPI document says of an operation before its types
// and options add theirs.
func describe(method, path string, role auth.Role, opts []Option) huma.Operation {
	op := huma.Operation{
		OperationID: operationID(method, path), Method: method, Path: path,
		Description: "Role: " + role.String() + ".",
		Responses:   refusals(method, path, role),
		Extensions:  map[string]any{"x-role": role.String()},
	}
	if role != auth.Public {
		op.Security = []map[string][]string{{"supabase": {}}}
	}
	if method != http.MethodGet && role != auth.Public {
		longest := maxKey
		op.Parameters = []*huma.Param{{
			Name: "Idempotency-Key", In: "header",
			Description: "Makes a repeated write one write, for 24 hours: the same key and body get the same answer, another body 409.",
			Schema:      &huma.Schema{Type: huma.TypeString, MaxLength: &longest, Pattern: "^[ -~]*$"},
		}}
	}
	for _, set := range opts {
		set(&op)
	}
	return op
}

func operationID(method, path string) string {
	words := strings.FieldsFunc(strings.ToLower(method)+" "+path, func(r rune) bool { return strings.ContainsRune(" /{}", r) })
	return strings.Join(words, "-")
}

// answerOf is what Answers says until the operation's API is known.
type answerOf struct {
	body    reflect.Type
	meaning string
}

const answerKey = "answer"

func documentAnswer(op *huma.Operation, schemas huma.Registry) {
	if a, ok := op.Metadata[answerKey].(*answerOf); ok {
		op.Responses["200"] = &huma.Response{Description: a.meaning, Content: map[string]*huma.MediaType{
			"application/json": {Schema: schemas.Schema(a.body, true, operationID(op.Method, op.Path)+"-answer")},
		}}
	}
}

// refusals are the problems that the edge answers for any operation of this
// kind. What else an operation refuses, such as an unknown id in a body, is the
// default's.
func refusals(method, path string, role auth.Role) map[string]*huma.Response {
	statuses := []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	if role != auth.Public {
		statuses = append(statuses, http.StatusUnauthorized, http.StatusForbidden)
	}
	if strings.Contains(path, "{") {
		statuses = append(statuses, http.StatusNotFound)
	}
	if method != http.MethodGet {
		statuses = append(statuses, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge,
			http.StatusUnsupportedMediaType)
		if role != auth.Public {
			statuses = append(statuses, http.StatusConflict)
		}
	}
	all := map[string]*huma.Response{"default": {Ref: responsePath + defaultProblem}}
	for _, status := range statuses {
		all[strconv.Itoa(status)] = &huma.Response{Ref: responsePath + componentName(status)}
	}
	return all
}

const (
	responsePath   = "#/components/responses/"
	defaultProblem = "Problem"
)

// problems are the components that refusals name.
func problems(schemas huma.Registry) map[string]*huma.Response {
	body := map[string]*huma.MediaType{
		"application/problem+json": {Schema: schemas.Schema(reflect.TypeFor[problem](), true, "Problem")},
	}
	all := map[string]*huma.Response{defaultProblem: {Description: "An RFC 9457 problem; its detail says what went wrong.", Content: body}}
	for status, meaning := range map[int]string{
		http.StatusBadRequest:            "The body is not JSON, not what its Content-Type says, or was cut off.",
		http.StatusRequestTimeout:        "The body came too slowly.",
		http.StatusUnauthorized:          "There is no access token, or it is not valid here, or has expired.",
		http.StatusForbidden:             "The token's role or tenant may not do this.",
		http.StatusNotFound:              "There is nothing of yours with this id.",
		http.StatusConflict:              "It does not go with what is there already, or a twin with the same Idempotency-Key is still running.",
		http.StatusRequestEntityTooLarge: "The body is too large.",
		http.StatusUnsupportedMediaType:  "The body's Content-Type is not taken here.",
		http.StatusUnprocessableEntity:   "A field breaks a rule: errors names it by its JSON path. Nothing was written.",
		http.StatusServiceUnavailable:    "Something that this depends on is down.",
	} {
		response := &huma.Response{Description: meaning, Content: body}
		switch status {
		case http.StatusServiceUnavailable, http.StatusConflict:
			response.Headers = map[string]*huma.Param{"Retry-After": {
				Description: "Seconds after which a repeat may succeed, where one may.", Schema: &huma.Schema{Type: huma.TypeInteger},
			}}
		}
		all[componentName(status)] = response
	}
	return all
}

// componentName is the status in one word, such as NotFound.
func componentName(status int) string { return strings.ReplaceAll(http.StatusText(status), " ", "") }

// mustShow panics where t embeds a struct of an unexported type: encoding/json
// sees its fields, but huma neither reads, nor checks, nor documents them.
func mustShow(t reflect.Type, seen map[reflect.Type]bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return
	}
	seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && !f.IsExported() && f.Type.Kind() == reflect.Struct {
			panic("serve: an operation's type embeds the unexported " + f.Type.String() + ": export it")
		}
		if f.IsExported() {
			mustShow(f.Type, seen)
		}
	}
}
