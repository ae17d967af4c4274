package fault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/fault"
)

func TestAKindIsFoundThroughWrapping(t *testing.T) {
	t.Parallel()
	for want, err := range map[fault.Kind]error{
		fault.Invalid: fault.Invalidf("x"), fault.NotFound: fault.NotFoundf("x"), fault.Forbidden: fault.Forbiddenf("x"),
		fault.Conflict: fault.Conflictf("x"), fault.Unauthorized: fault.Unauthorizedf("x"), fault.Unavailable: fault.Down("x", nil),
		fault.TooMany: fault.Limited("x", time.Second), fault.Internal: errors.New("x"),
	} {
		if got := fault.Of(fmt.Errorf("read ad: %w", errors.Join(errors.New("y"), err))); got != want {
			t.Errorf("%v is of the kind %v", err, got)
		}
	}
	if fault.Of(nil) != fault.Internal || fault.Permanent(nil) {
		t.Error("no error has a kind")
	}
}

func TestOnlyWhatCanNeverSucceedIsPermanent(t *testing.T) {
	t.Parallel()
	passing := &fault.Error{Kind: fault.Conflict, RetryAfter: time.Second}
	for _, err := range []error{errors.New("x"), fault.Down("x", nil), fault.Limited("x", 0), passing, fmt.Errorf("x: %w", passing)} {
		if fault.Permanent(err) {
			t.Errorf("%v is permanent", err)
		}
	}
	for _, err := range []error{fault.Invalidf("x"), fault.NotFoundf("x"), fault.Conflictf("x"), fault.Forbiddenf("x"), fault.Unauthorizedf("x"), fault.Field("a", "b")} {
		if !fault.Permanent(fmt.Errorf("x: %w", err)) {
			t.Errorf("%v is not permanent", err)
		}
	}
}

func TestTheCauseIsInTheErrorAndNotInTheMessage(t *testing.T) {
	t.Parallel()
	cause := errors.New("password hunter2")
	err := fault.Down("the database does not answer", cause)
	if err.Message != "the database does not answer" || err.Error() != "the database does not answer: password hunter2" || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
}

func TestAFieldIsNamedWithItsRule(t *testing.T) {
	t.Parallel()
	err := fault.Field("body.spend", "must be at least 0")
	if diff := cmp.Diff([]fault.Detail{{Field: "body.spend", Rule: "must be at least 0"}}, err.Details); diff != "" || err.Message != "body.spend must be at least 0" {
		t.Errorf("%s %s", err.Message, diff)
	}
}
