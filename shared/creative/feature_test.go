package creative_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/creative"
)

func TestFlatAndTypedSpellingsAreTheSameFeatures(t *testing.T) {
	t.Parallel()
	flat := parse(t, `{"hook_type":"Founder story","hook_strength":0.8,"hook_text":"I was in pain","human_face":true,"visual_pacing":"fast-paced",
		"emotional_trigger":"hope","cta_type":"book now","length_seconds":"15","aspect":"9:16"}`)
	typed := parse(t, `{"dna_version":1,"hook":{"type":"founder_story","strength":0.8,"text":"I was in pain"},"visual":{"human_face":"yes"},
		"pacing":{"speed":"fast"},"copy":{"emotion":"hope"},"cta":{"type":"book_now"},
		"format":{"duration_seconds":15,"aspect_ratio":"9x16","orientation":"portrait"}}`)
	want := []creative.Feature{
		{Name: "hook_type", Value: "founder_story"},
		{Name: "hook_strength", Number: 0.8, IsNumber: true},
		{Name: "hook_words", Number: 4, IsNumber: true},
		{Name: "human_face", Value: "yes"},
		{Name: "visual_pacing", Value: "fast"},
		{Name: "emotion", Value: "hope"},
		{Name: "cta_type", Value: "book_now"},
		{Name: "duration_seconds", Number: 15, IsNumber: true},
		{Name: "orientation", Value: "vertical"},
		{Name: "aspect_ratio", Value: "9:16"},
	}
	if diff := cmp.Diff(want, flat.Features()); diff != "" {
		t.Errorf("flat: %s", diff)
	}
	if diff := cmp.Diff(want, typed.Features()); diff != "" {
		t.Errorf("typed: %s", diff)
	}
}

func TestWhatTheModelDoesNotUnderstandIsNoFeature(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"unknown keys":      `{"zebra":"striped","hook":{"colour":"red"},"a":{"b":{"c":{"d":{"e":1}}}}}`,
		"out of range":      `{"hook_strength":85,"duration_seconds":-3,"cta_strength":"1e400"}`,
		"another type":      `{"hook_type":7,"hook_strength":true,"human_face":"maybe","visual_pacing":{"a":1}}`,
		"not known":         `{"hook_type":"unknown","tone":"n/a","emotion":"","music":null}`,
		"a text":            `{"hook":"Tired of back pain?","tone":"` + strings.Repeat("very ", 20) + `serious"}`,
		"two numbers":       `{"hook_strength":[0.2,0.9]}`,
		"a nonsense aspect": `{"aspect_ratio":"` + strings.Repeat("9", 400) + `:0"}`,
	} {
		for _, f := range parse(t, in).Features() {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestASectionsOwnNameWithAKnownValueIsItsType(t *testing.T) {
	t.Parallel()
	got := parse(t, `{"hook":"question","pacing":"slow","cta":"Book now","visual":"UGC"}`).Features()
	want := []creative.Feature{
		{Name: "hook_type", Value: "question"},
		{Name: "visual_style", Value: "ugc"},
		{Name: "visual_pacing", Value: "slow"},
		{Name: "cta_type", Value: "book_now"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAListOfCategoriesIsAFeatureEach(t *testing.T) {
	t.Parallel()
	got := parse(t, `{"emotion":["hope","Hope","trust",3]}`).Features()
	want := []creative.Feature{{Name: "emotion", Value: "hope"}, {Name: "emotion", Value: "trust"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAFlatKeyOutranksItsSection(t *testing.T) {
	t.Parallel()
	got := parse(t, `{"hook":{"type":"story"},"hook_type":"offer"}`).Features()
	if diff := cmp.Diff([]creative.Feature{{Name: "hook_type", Value: "offer"}}, got); diff != "" {
		t.Error(diff)
	}
}
