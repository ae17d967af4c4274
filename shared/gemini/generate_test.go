package gemini_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/gemini"
)

func TestAnAnswerKeepsToItsSchemaAndIsCounted(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]func(*gemini.Config){"developer": func(*gemini.Config) {}, "vertex": onVertex} {
		f := open(t, back)
		f.fake.Write = func(fakegemini.Call) string { return fits }
		got, err := ask(t.Context(), f)
		if err != nil || string(got.JSON) != fits || got.Model != "gemini-3.8-flash-002" {
			t.Fatalf("%s: %+v, %v", name, got, err)
		}
		calls, failed, input, output, micros := f.used(t, "gemini-3.8-flash")
		if calls != 1 || failed != 0 || input != got.InputTokens || output != got.OutputTokens || micros != input+4*output || micros != got.CostMicros || input == 0 {
			t.Errorf("%s: counted %d calls, %d failed, %d in, %d out, %d micros for %+v", name, calls, failed, input, output, micros, got)
		}
		if f.reserved(t) != 0 {
			t.Errorf("%s: %d stay reserved", name, f.reserved(t))
		}
		call := f.fake.Calls()[0]
		if !strings.Contains(call.System, "Say") || call.MaxOutputTokens != 1000 || call.Vertex != (name == "vertex") || call.Schema["type"] != "object" {
			t.Errorf("%s: asked %+v", name, call)
		}
	}
}

// What cannot be used was paid for all the same.
func TestAnUnusableAnswerIsAnErrorOfItsKindAndCounted(t *testing.T) {
	t.Parallel()
	refused := func(reason string) func(error) bool {
		return func(err error) bool {
			var r *gemini.Refused
			return errors.As(err, &r) && r.Reason == reason && fault.Of(err) == fault.Invalid && fault.Permanent(err)
		}
	}
	is := func(kind error) func(error) bool {
		return func(err error) bool { return errors.Is(err, kind) && fault.Of(err) == fault.Unavailable }
	}
	f := open(t)
	f.fake.Write = func(fakegemini.Call) string { return fits[1:] }
	for name, c := range map[string]struct {
		fault fakegemini.Fault
		is    func(error) bool
	}{
		"safety":             {fakegemini.Finish("SAFETY"), refused("SAFETY")},
		"prohibited":         {fakegemini.Finish("PROHIBITED_CONTENT"), refused("PROHIBITED_CONTENT")},
		"recitation":         {fakegemini.Finish("RECITATION"), refused("RECITATION")},
		"new refusal":        {fakegemini.Finish("SOMETHING_NEW"), refused("SOMETHING_NEW")},
		"prompt blocked":     {fakegemini.Blocked("PROHIBITED_CONTENT"), refused("PROHIBITED_CONTENT")},
		"truncated":          {fakegemini.Truncated(), is(gemini.ErrTruncated)},
		"other":              {fakegemini.Finish("OTHER"), is(gemini.ErrNonsense)},
		"no candidate":       {fakegemini.Empty(), is(gemini.ErrNonsense)},
		"no JSON":            {fakegemini.Text("Sure! Here is your plan: " + secretWords), is(gemini.ErrNonsense)},
		"two JSONs":          {fakegemini.Text(fits + fits), is(gemini.ErrNonsense)},
		"no text":            {fakegemini.Text(""), is(gemini.ErrNonsense)},
		"missing field":      {fakegemini.Text(`{"hook":"question"}`), is(gemini.ErrNonsense)},
		"unknown field":      {fakegemini.Text(`{"hook":"question","score":1,"` + secretWords + `":1}`), is(gemini.ErrNonsense)},
		"wrong value":        {fakegemini.Text(`{"hook":"` + secretWords + `","score":1}`), is(gemini.ErrNonsense)},
		"too many":           {fakegemini.Text(`{"hook":"promise","score":1,"scenes":["a","b","c","d"]}`), is(gemini.ErrNonsense)},
		"a rule of ours":     {fakegemini.Text(`{"hook":"promise","score":1,"scenes":["a far too long description"]}`), is(gemini.ErrNonsense)},
		"not an object":      {fakegemini.Text(`[]`), is(gemini.ErrNonsense)},
		"without any counts": {fakegemini.Uncounted(), is(gemini.ErrNonsense)},
	} {
		f.afresh(t)
		f.fake.Inject(c.fault)
		_, err := ask(t.Context(), f)
		if !c.is(err) {
			t.Errorf("%s: answered with %v", name, err)
		}
		clean(t, name, err)
		if calls, failed, input, _, micros := f.used(t, "gemini-3.8-flash"); calls != 1 || failed != 1 || input == 0 || micros == 0 || f.reserved(t) != 0 {
			t.Errorf("%s: counted %d calls, %d failed, %d in, %d micros; %d reserved", name, calls, failed, input, micros, f.reserved(t))
		}
	}
}

func TestFilesGoByAddressByUploadAndInline(t *testing.T) {
	t.Parallel()
	ask := func(f *fixture, p gemini.Part) error {
		_, err := f.Generate(t.Context(), gemini.Request{Tenant: tenantA, Purpose: "analysis", Parts: []gemini.Part{p, {Text: "What is this?"}}})
		return err
	}
	f := open(t)
	f.fake.Look = 3
	part, err := f.Upload(t.Context(), tenantA, "ad.mp4", "video/mp4", io.MultiReader(strings.NewReader(strings.Repeat("v", 9<<20))))
	if err != nil || part.MIMEType != "video/mp4" {
		t.Fatalf("%+v, %v", part, err)
	}
	for name, p := range map[string]gemini.Part{"uploaded": part, "inline": {Data: []byte("video"), MIMEType: "video/mp4"}} {
		if err := ask(f, p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := f.Delete(t.Context(), part); err != nil || f.fake.Files() != 0 {
		t.Errorf("deleted: %v, %d left", err, f.fake.Files())
	}
	var refused *gemini.Refused
	if err := ask(f, gemini.Part{URI: "gs://b/v.mp4", MIMEType: "video/mp4"}); !errors.As(err, &refused) {
		t.Errorf("an address that this back end does not read: %v", err)
	}
	if _, err := f.Upload(t.Context(), tenantA, "x", "video/mp4", strings.NewReader("broken")); !errors.As(err, &refused) {
		t.Errorf("a file that cannot be read: %v", err)
	}
	f.fake.Look = 1 << 20
	gone, leave := context.WithTimeout(t.Context(), 3*time.Second)
	defer leave()
	if _, err := f.Upload(gone, tenantA, "x", "video/mp4", strings.NewReader("v")); fault.Of(err) != fault.Unavailable {
		t.Errorf("a file that is read for too long: %v", err)
	}
	if n := f.fake.Files(); n != 0 {
		t.Errorf("%d files that nobody can use were left with Google", n)
	}
	f.fake.Look = 0
	if err := ask(f, gemini.Part{Data: make([]byte, gemini.MaxInline+1), MIMEType: "video/mp4"}); fault.Of(err) != fault.Invalid {
		t.Errorf("too large for a request: %v", err)
	}
	for name, o := range map[string]fakegemini.Fault{"down": fakegemini.Status(503, "UNAVAILABLE"), "nonsense": fakegemini.Body("{}"), "dropped": fakegemini.Drop()} {
		f.fake.Inject(o)
		_, err := f.Upload(t.Context(), tenantA, "x", "video/mp4", strings.NewReader("v"))
		if fault.Of(err) != fault.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		clean(t, name, err)
	}
	// The answer that ends an upload is nonsense: genai takes its form for granted.
	f.fake.Inject(fakegemini.Fault{}, fakegemini.Body("{}"))
	if _, err := f.Upload(t.Context(), tenantA, "x", "video/mp4", strings.NewReader("v")); fault.Of(err) != fault.Unavailable {
		t.Errorf("an upload that ends in nonsense: %v", err)
	}

	v := open(t, onVertex)
	if err := ask(v, gemini.Part{URI: "gs://b/v.mp4", MIMEType: "video/mp4"}); err != nil {
		t.Errorf("vertex: %v", err)
	}
	if _, err := v.Upload(t.Context(), tenantA, "x", "video/mp4", strings.NewReader("v")); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("vertex, upload: %v", err)
	}
}

func TestValidateNamesThePlaceAndTheRule(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		fits:                                             "",
		`{"hook":"promise","score":0}`:                   "",
		`{"hook":"promise"}`:                             "$.score is missing",
		`{"hook":"promise","score":2}`:                   "$.score is above its maximum of 1",
		`{"hook":5,"score":1}`:                           "$.hook has the wrong type",
		`{"hook":"none","score":1}`:                      "$.hook is not one of its values",
		`{"hook":"promise","score":"1"}`:                 "$.score has the wrong type",
		`{"hook":"promise","score":1,"x":1}`:             "$ has a member that is not known",
		`{"hook":"promise","score":1,"scenes":["a",""]}`: "$.scenes[1] is below its minLength of 1",
		`{"hook":"promise","score":1,"scenes":[null]}`:   "$.scenes[0] has the wrong type",
		`nonsense`: "$ is not JSON",
		``:         "$ is not JSON",
		`null`:     "$ has the wrong type",
	} {
		err := gemini.Validate(schema, []byte(data))
		if got := ""; err != nil {
			if got = err.Error(); got != want {
				t.Errorf("%s: %q, want %q", data, got, want)
			}
		} else if want != "" {
			t.Errorf("%s passes, want %q", data, want)
		}
	}
	for name, c := range map[string]struct {
		rules map[string]any
		data  string
		fits  bool
	}{
		"one of several types": {map[string]any{"type": []string{"string", "null"}}, `null`, true},
		"none of them":         {map[string]any{"type": []string{"string", "null"}}, `1`, false},
		"whole number":         {map[string]any{"type": "integer"}, `3.0`, true},
		"part of a number":     {map[string]any{"type": "integer"}, `3.5`, false},
		"any of":               {map[string]any{"anyOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "array", "minItems": 1}}}, `["a"]`, true},
		"none of any":          {map[string]any{"anyOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "array", "minItems": 1}}}, `[]`, false},
		"every other member":   {map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "number"}}, `{"a":1,"b":"2"}`, false},
		"a pattern":            {map[string]any{"type": "string", "pattern": "^[a-z]+$"}, `"abc"`, true},
		"not the pattern":      {map[string]any{"type": "string", "pattern": "^[a-z]+$"}, `"ABC"`, false},
		"an unknown keyword":   {map[string]any{"type": "string", "const": "x"}, `"x"`, false},
		"no rules at all":      {nil, `{"a":[1]}`, true},
	} {
		if err := gemini.Validate(c.rules, []byte(c.data)); (err == nil) != c.fits {
			t.Errorf("%s: %v", name, err)
		}
	}
}
