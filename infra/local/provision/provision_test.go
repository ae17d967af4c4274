package provision

import (
	"strings"
	"testing"
	"time"
)

func TestWhereAllIsThereEnsureIsQuickAndSilent(t *testing.T) {
	var log strings.Builder
	if _, err := Ensure(t.Context(), &log); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	begin := time.Now()
	source, err := Ensure(t.Context(), &log)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("took %v", took)
	}
	if log.Len() > 0 {
		t.Errorf("said %q", log.String())
	}
	t.Log(source, time.Since(begin))
}
