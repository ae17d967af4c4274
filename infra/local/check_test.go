package main

import (
	"strings"
	"testing"
)

func TestACheckIsRunByItsNameAndAWrongNameIsSaid(t *testing.T) {
	t.Parallel()
	c := &checker{}
	all, err := c.checks("")
	if err != nil || len(all) < 2 {
		t.Fatalf("%d checks, %v", len(all), err)
	}
	for _, one := range all {
		if found, err := c.checks(one.name); err != nil || len(found) != 1 || found[0].name != one.name {
			t.Errorf("%q: %d checks, %v", one.name, len(found), err)
		}
	}
	if _, err := c.checks("gofmt"); err == nil || !strings.Contains(err.Error(), "the checks are lint, go test -race, ") {
		t.Errorf("a wrong name: %v", err)
	}
}
