package fault_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/shared/fault"
)

func innermost() error { return fault.Here(fmt.Errorf("read: %w", io.ErrUnexpectedEOF)) }

func TestAnErrorKeepsTheStackNearestToItsCause(t *testing.T) {
	t.Parallel()
	first := func(err error) string {
		f, _ := runtime.CallersFrames(fault.Origin(err)).Next()
		return f.Function[strings.LastIndexByte(f.Function, '.')+1:]
	}
	inner := innermost()
	for name, err := range map[string]error{
		"itself": inner, "wrapped": fmt.Errorf("list: %w", inner), "again": fault.Here(fmt.Errorf("list: %w", inner)),
		"down": fault.Down("it is down", inner), "joined": errors.Join(io.EOF, inner), "beside": fmt.Errorf("%w, %w", io.EOF, inner),
	} {
		if got := first(err); got != "innermost" || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: the stack begins at %s", name, got)
		}
	}
	if err := fault.Down("it is down", io.EOF); first(err) != "TestAnErrorKeepsTheStackNearestToItsCause" {
		t.Errorf("Down: the stack begins at %s", first(err))
	}
	for name, err := range map[string]error{"nil": fault.Here(nil), "a caller's mistake": fault.Here(fault.NotFoundf("no such ad")), "none": io.EOF} {
		if fault.Origin(err) != nil {
			t.Errorf("%s has a stack", name)
		}
	}
	if err := fault.Here(nil); err != nil {
		t.Errorf("Here made %v of nil", err)
	}
	if got := inner.Error(); got != "read: unexpected EOF" {
		t.Errorf("the text is %q", got)
	}
}
