package allocate

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/geminivideo/geminivideo/shared/sampler"
)

func TestTheStoredRequestReadsBackToTheSame(t *testing.T) {
	t.Parallel()
	plain := func(req sampler.Request) (back sampler.Request, ok bool) { // as the standard library encodes it
		text, err := json.Marshal(req)
		return back, err == nil && json.Unmarshal(text, &back) == nil
	}
	requests := rapid.Make[sampler.Request]().Filter(func(req sampler.Request) bool { // of any shape, whatever fields it will have
		_, finite := plain(req)
		return finite
	})
	rapid.Check(t, func(t *rapid.T) {
		req := requests.Draw(t, "request")
		stored, err := encodeRequest(&req)
		if err != nil {
			t.Fatal(err)
		}
		var back sampler.Request
		if err := json.Unmarshal(stored, &back); err != nil {
			t.Fatalf("%v: %s", err, stored)
		}
		want, _ := plain(req)
		if diff := cmp.Diff(want, back, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}
