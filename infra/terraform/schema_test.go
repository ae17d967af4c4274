package terraform_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// schema is what the provider takes in a resource or in a block of one.
// testdata/provider.json lists it for the resources that this folder makes: an
// attribute with r for required, o for optional, c for filled in by Google; a block
// with how often it may stand there.
type schema struct {
	attributes map[string]string
	blocks     map[string]schema
	low, high  int // of a block
	known      bool
}

func readSchema(t *testing.T) map[string]schema {
	t.Helper()
	text, err := os.ReadFile("testdata/provider.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	found := map[string]schema{}
	for kind, body := range all {
		found[kind] = schemaOf(body)
	}
	return found
}

func schemaOf(body map[string]any) schema {
	s := schema{attributes: map[string]string{}, blocks: map[string]schema{}, known: true}
	for name, v := range body {
		switch v := v.(type) {
		case string:
			if low, high, ok := strings.Cut(v, ".."); ok && name == "" {
				s.low, s.high = count(low), count(high)
			} else if ok {
				s.blocks[name] = schema{low: count(low), high: count(high)}
			} else {
				s.attributes[name] = v
			}
		case map[string]any:
			s.blocks[name] = schemaOf(v)
		}
	}
	return s
}

func count(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 1 << 30 // *
	}
	return n
}

// mistakes lists what of a body the provider would refuse.
func (s schema) mistakes(at string, b *hclsyntax.Body, top bool) (all []string) {
	for name, a := range b.Attributes {
		if top && slices.Contains(meta, name) {
			continue
		}
		switch flags, ok := s.attributes[name]; {
		case !ok:
			all = append(all, fmt.Sprintf("%s:%d: %s has no attribute %s", a.Range().Filename, a.Range().Start.Line, at, name))
		case flags == "c":
			all = append(all, fmt.Sprintf("%s:%d: %s.%s is Google's to fill in", a.Range().Filename, a.Range().Start.Line, at, name))
		}
	}
	for name, flags := range s.attributes {
		if _, ok := b.Attributes[name]; strings.Contains(flags, "r") && !ok {
			all = append(all, fmt.Sprintf("%s:%d: %s needs %s", b.Range().Filename, b.Range().Start.Line, at, name))
		}
	}
	times := map[string]int{}
	for _, inner := range b.Blocks {
		name, body, step := inner.Type, inner.Body, 1
		if top && name == "lifecycle" {
			continue
		}
		if name == "dynamic" {
			name, body = inner.Labels[0], inner.Body.Blocks[0].Body
			step = 0 // any number, none as well
		}
		block, ok := s.blocks[name]
		if !ok {
			all = append(all, fmt.Sprintf("%s:%d: %s has no block %s", inner.Range().Filename, inner.Range().Start.Line, at, name))
			continue
		}
		if !block.known {
			all = append(all, fmt.Sprintf("%s:%d: testdata/provider.json does not say what %s.%s takes",
				inner.Range().Filename, inner.Range().Start.Line, at, name))
			continue
		}
		times[name] += step
		all = append(all, block.mistakes(at+"."+name, body, false)...)
	}
	for name, block := range s.blocks {
		if n := times[name]; n < block.low || n > block.high {
			all = append(all, fmt.Sprintf("%s:%d: %s has %d blocks %s", b.Range().Filename, b.Range().Start.Line, at, n, name))
		}
	}
	slices.Sort(all)
	return all
}

func (r *root) mistakes() (all []string) {
	for _, key := range slices.Sorted(maps.Keys(r.resources)) {
		b := r.resources[key]
		s, ok := r.schema[b.Labels[0]]
		if !ok {
			all = append(all, fmt.Sprintf("%s:%d: testdata/provider.json does not have %s", b.Range().Filename, b.Range().Start.Line, b.Labels[0]))
			continue
		}
		all = append(all, s.mistakes(key, b.Body, true)...)
	}
	return all
}

func TestTheProviderTakesEveryAttributeAndBlock(t *testing.T) {
	t.Parallel()
	for _, mistake := range load(t, nil).mistakes() {
		t.Error(mistake)
	}
}

func TestAWrongBlockIsNamed(t *testing.T) {
	t.Parallel()
	for want, text := range map[string]string{
		"has no attribute nme":         `resource "google_pubsub_topic" "x" { nme = "x" }`,
		"needs name":                   `resource "google_pubsub_topic" "x" {}`,
		"is Google's to fill in":       "resource \"google_service_account\" \"x\" {\n account_id = \"x\"\n email = \"x\"\n}",
		"has no block pushes":          "resource \"google_pubsub_subscription\" \"x\" {\n name = \"x\"\n topic = \"x\"\n pushes {}\n}",
		"has 2 blocks retry_policy":    "resource \"google_pubsub_subscription\" \"x\" {\n name = \"x\"\n topic = \"x\"\n retry_policy {}\n retry_policy {}\n}",
		"push_config needs push_endpo": "resource \"google_pubsub_subscription\" \"x\" {\n name = \"x\"\n topic = \"x\"\n push_config {}\n}",
		"does not have google_sql":     `resource "google_sql_database" "x" {}`,
	} {
		all := load(t, map[string]string{"wrong.tf": text})
		if got := strings.Join(all.mistakes(), "\n"); !strings.Contains(got, want) || !strings.Contains(got, "wrong.tf:") {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}
