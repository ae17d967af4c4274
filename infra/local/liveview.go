package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/geminivideo/geminivideo/infra/terraform"
	"github.com/geminivideo/geminivideo/infra/testkit/emulator"
)

// liveProject is the Firebase project of the local live view: the emulator and the
// client libraries know by demo- that it is none of Google's.
const liveProject = "demo-geminivideo"

// openLiveView starts the Firestore emulator where the Google Cloud SDK has it, unless
// the environment names one. The system does not wait for it, and works without it.
func (s *system) openLiveView(ctx context.Context) error {
	if !s.live {
		return os.Setenv("FIRESTORE_PROJECT", "")
	}
	if host := os.Getenv("FIRESTORE_EMULATOR_HOST"); host != "" {
		s.say("Firestore: the emulator at %s, project %s", host, liveProject)
		return os.Setenv("FIRESTORE_PROJECT", liveProject)
	}
	e, err := emulator.StartFirestore(terraform.FirestoreRules)
	if errors.Is(err, emulator.ErrAbsent) {
		s.say("no live view: %v", err)
		return os.Setenv("FIRESTORE_PROJECT", "")
	}
	if err != nil {
		return err
	}
	s.onStop("Firestore", func() error { e.Close(); return nil })
	s.say("Firestore: the emulator at %s, project %s; it answers in a few seconds", e.Addr(), liveProject)
	s.inBackground(func() {
		if err := e.Ready(ctx); err != nil && ctx.Err() == nil {
			slog.Warn("there is no live view", "error", err.Error())
		}
	})
	return errors.Join(os.Setenv("FIRESTORE_EMULATOR_HOST", e.Addr()), os.Setenv("FIRESTORE_PROJECT", liveProject))
}
