package accounts

import (
	"cmp"
	"slices"
	"testing"
)

func TestEverySettingIsNamedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for i, s := range Settings {
		if s.Min >= s.Max || s.Meaning == "" {
			t.Errorf("%s goes from %v to %v and means %q", s.Name, s.Min, s.Max, s.Meaning)
		}
		if i > 0 && Settings[i-1].Name == s.Name {
			t.Errorf("%s is named twice", s.Name)
		}
	}
	if !slices.IsSortedFunc(Settings, func(a, b Setting) int { return cmp.Compare(a.Name, b.Name) }) {
		t.Error("the settings are not in the order of their names")
	}
}
