package faults

import "testing"

func TestTheMainFlowLeftAlone(t *testing.T) {
	t.Parallel()
	f := onPostgres(t)
	f.play(nil)
	f.holds()
}
