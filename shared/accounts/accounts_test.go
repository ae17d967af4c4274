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

func TestBreakEvenComesFromTheMarginAndIsOneUnlessSet(t *testing.T) {
	t.Parallel()
	two, quarter := 2.0, 0.25
	for _, tt := range []struct {
		account Account
		want    float64
	}{{Account{}, 1}, {Account{BreakEven: &two}, 2}, {Account{Margin: &quarter}, 4}} {
		if got := tt.account.BreakEvenROAS(); got != tt.want {
			t.Errorf("break-even of %+v is %v, want %v", tt.account, got, tt.want)
		}
	}
}
