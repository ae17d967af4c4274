package faults

import (
	"flag"
	"os"
	"testing"
)

// The suite plays the main flow left alone, and no fault: those take minutes, and a disk
// that may be filled. Each runs where it is named, as bench faults does.
func TestMain(m *testing.M) {
	flag.Parse()
	if run := flag.Lookup("test.run"); run.Value.String() == "" {
		if err := run.Value.Set("^TestTheMainFlowLeftAlone$"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
