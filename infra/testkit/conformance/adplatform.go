package conformance

import (
	"context"
	"testing"

	"github.com/geminivideo/geminivideo/shared/meta"
)

// AdPlatform is what the executor needs of an ad platform.
type AdPlatform interface {
	Read(ctx context.Context, name string) (meta.State, error)
	SetBudget(ctx context.Context, name string, minor int64, validateOnly bool) (trace string, err error)
	SetSpendLimits(ctx context.Context, adset string, least, most *int64, validateOnly bool) (trace string, err error)
	SetStatus(ctx context.Context, name, status string, validateOnly bool) (trace string, err error)
}

// AdAccount is an account for the suite: an active ad alone in an ad set with a
// budget of 50.00, and an ad set of another account.
type AdAccount struct {
	Platform           AdPlatform
	AdSet, Ad, Foreign string // as AdPlatform names objects
}

// AdPlatforms is the suite of AdPlatform. open returns an account of its own.
func AdPlatforms(t *testing.T, open func(t *testing.T) AdAccount) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, a AdAccount){
		"a budget that was set is read back": func(t *testing.T, a AdAccount) {
			for range 2 { // setting it again changes nothing
				if _, err := a.Platform.SetBudget(t.Context(), a.AdSet, 4000, false); err != nil {
					t.Fatal(err)
				}
				a.hasBudget(t, 4000)
			}
		},
		"what is only validated changes nothing": func(t *testing.T, a AdAccount) {
			if _, err := a.Platform.SetBudget(t.Context(), a.AdSet, 4000, true); err != nil {
				t.Error(err)
			}
			if _, err := a.Platform.SetStatus(t.Context(), a.Ad, "PAUSED", true); err != nil {
				t.Error(err)
			}
			a.hasBudget(t, 5000)
			a.hasStatus(t, "ACTIVE")
		},
		"an ad is paused and started": func(t *testing.T, a AdAccount) {
			for _, status := range []string{"PAUSED", "ACTIVE"} {
				if _, err := a.Platform.SetStatus(t.Context(), a.Ad, status, false); err != nil {
					t.Fatal(err)
				}
				a.hasStatus(t, status)
			}
		},
		"a write that cannot have arrived is refused for certain": func(t *testing.T, a AdAccount) {
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := a.Platform.SetBudget(gone, a.AdSet, 4000, false)
			refused(t, "a cancelled context", err)
			_, err = a.Platform.SetBudget(t.Context(), a.AdSet, -1, false)
			refused(t, "a negative budget", err)
			_, err = a.Platform.SetStatus(t.Context(), a.Ad, "DELETED", false)
			refused(t, "a status that is not ours to set", err)
			_, err = a.Platform.SetSpendLimits(t.Context(), a.AdSet, nil, nil, false)
			refused(t, "no limit at all", err)
			a.hasBudget(t, 5000)
			a.hasStatus(t, "ACTIVE")
		},
		"another account's object is neither read nor written": func(t *testing.T, a AdAccount) {
			if _, err := a.Platform.Read(t.Context(), a.Foreign); err == nil {
				t.Error("it is read")
			}
			_, err := a.Platform.SetBudget(t.Context(), a.Foreign, 4000, false)
			refused(t, "another account's ad set", err)
		},
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func refused(t *testing.T, what string, err error) {
	t.Helper()
	if meta.Outcome(err) != meta.Refused {
		t.Errorf("%s: effect %d, want %d (refused): %v", what, meta.Outcome(err), meta.Refused, err)
	}
}

func (a AdAccount) hasBudget(t *testing.T, want int64) {
	t.Helper()
	if s, err := a.Platform.Read(t.Context(), a.AdSet); err != nil || s.DailyBudget == nil || *s.DailyBudget != want {
		t.Errorf("the ad set is %+v, %v; want a daily budget of %d", s, err, want)
	}
}

func (a AdAccount) hasStatus(t *testing.T, want string) {
	t.Helper()
	if s, err := a.Platform.Read(t.Context(), a.Ad); err != nil || s.Status != want {
		t.Errorf("the ad is %s, %v; want %s", s.Status, err, want)
	}
}
