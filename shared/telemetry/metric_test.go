package telemetry_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// maxSeries is the most series of one metric that a deployment may make.
const maxSeries = 100_000

func TestEveryMetricIsNamedAsPrometheusWantsItAndBounded(t *testing.T) {
	t.Parallel()
	word, seen := regexp.MustCompile(`^gv(_[a-z0-9]+)+$`), map[string]bool{}
	for _, m := range telemetry.Metrics() {
		series := 1
		for _, l := range m.Labels {
			if (len(l.Values) == 0) == (l.Max == 0) {
				t.Errorf("%s: the label %s is neither a closed set nor bounded", m.Name, l.Name)
			}
			for _, private := range []string{"tenant", "email", "contact", "ad_id", "path", "url"} {
				if l.Name == private {
					t.Errorf("%s has the label %s", m.Name, l.Name)
				}
			}
			series *= len(l.Values) + l.Max + 1
		}
		switch {
		case !word.MatchString(m.Name) || seen[m.Name]:
			t.Errorf("%s is no name, or there twice", m.Name)
		case strings.HasSuffix(m.Name, "_total") != (m.Kind == telemetry.CounterKind):
			t.Errorf("%s is a %s", m.Name, m.Kind)
		case (m.Unit == "s") != strings.HasSuffix(m.Name, "_seconds") || m.Unit != "s" && m.Unit != "1":
			t.Errorf("%s has the unit %s", m.Name, m.Unit)
		case m.Help == "" || !strings.HasSuffix(m.Help, "."):
			t.Errorf("%s: %q is no sentence", m.Name, m.Help)
		case series > maxSeries:
			t.Errorf("%s may have %d series", m.Name, series)
		case (m.Kind == telemetry.HistogramKind) != (len(m.Buckets) > 0):
			t.Errorf("%s has %d buckets", m.Name, len(m.Buckets))
		}
		seen[m.Name] = true
	}
	if len(seen) < 30 {
		t.Errorf("the list has %d metrics", len(seen))
	}
}
