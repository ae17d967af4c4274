package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// prometheus is a real one that scrapes the local system and evaluates the rules.
type prometheus struct {
	cmd   *exec.Cmd
	url   string
	began time.Time
}

func startPrometheus(ctx context.Context, program, dir, target string) (*prometheus, error) {
	rules, err := readRules("infra/monitoring/alerts.yml")
	if err != nil {
		return nil, err
	}
	rules.shorten()
	where, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	config := map[string]any{
		"global":         map[string]any{"scrape_interval": scrapeEvery.String(), "evaluation_interval": scrapeEvery.String()},
		"rule_files":     []string{filepath.Join(dir, "alerts.yml")},
		"scrape_configs": []any{map[string]any{"job_name": "local", "static_configs": []any{map[string]any{"targets": []string{where.Host}}}}},
	}
	for name, v := range map[string]any{"alerts.yml": rules, "prometheus.yml": config} {
		text, err := yaml.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	p := &prometheus{url: "http://" + at, began: time.Now()}
	p.cmd = exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "samples"),
		"--web.listen-address="+at, "--log.level=error")
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if _, err = p.query(ctx, "vector(1)"); err == nil {
			return p, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			p.stop()
			return nil, fmt.Errorf("start prometheus: %w", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (p *prometheus) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

var windows = regexp.MustCompile(`\[(\d+)([mhd])\]`)

// shorten divides the rules' windows, and puts their short thresholds in place.
func (f *ruleFile) shorten() {
	unit := map[string]int{"m": 60, "h": 3600, "d": 86400}
	for _, g := range f.Groups {
		for i := range g.Rules {
			r := &g.Rules[i]
			r.For = (2 * scrapeEvery).String()
			r.Expr = windows.ReplaceAllStringFunc(r.Expr, func(text string) string {
				part := windows.FindStringSubmatch(text)
				n, _ := strconv.Atoi(part[1])
				divided := n * unit[part[2]] / muchShorter
				if part[2] == "m" {
					divided = n * unit[part[2]] / shorter
				}
				return fmt.Sprintf("[%ds]", max(divided, 6*int(scrapeEvery.Seconds())))
			})
			if from, to := r.Annotations["threshold"], r.Annotations["short_threshold"]; from != "" {
				r.Expr = strings.NewReplacer("> "+from, "> "+to, ">= "+from, ">= "+to).Replace(r.Expr)
			}
		}
	}
}

// sample is one value of an instant query, or the last of a range query's.
type sample struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
	Values [][2]any          `json:"values"`
}

func (p *prometheus) query(ctx context.Context, expr string) ([]sample, error) {
	return p.get(ctx, "query", url.Values{"query": {expr}})
}

func (p *prometheus) get(ctx context.Context, path string, values url.Values) ([]sample, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/"+path+"?"+values.Encode(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var body struct {
		Error string
		Data  struct{ Result []sample }
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return nil, fmt.Errorf("prometheus answers %d: %w", answer.StatusCode, err)
	}
	if body.Error != "" {
		return nil, fmt.Errorf("prometheus: %s: %s", body.Error, values.Get("query"))
	}
	return body.Data.Result, nil
}

// panels asks every panel's queries, and returns those without any number.
func (p *prometheus) panels(ctx context.Context) error {
	var wrong []error
	asked := 0
	for _, d := range dashboards() {
		for _, one := range d.panels {
			asked++
			numbers := 0
			for _, q := range one.queries {
				found, err := p.get(ctx, "query_range", url.Values{
					"query": {strings.ReplaceAll(q.expr, "$__rate_interval", "1m")}, "step": {"15"},
					"start": {strconv.FormatInt(p.began.Unix(), 10)}, "end": {strconv.FormatInt(time.Now().Unix(), 10)},
				})
				if err != nil {
					wrong = append(wrong, fmt.Errorf("%s, %s: %w", d.title, one.title, err))
				}
				for _, s := range found {
					for _, v := range s.Values {
						text, _ := v[1].(string)
						if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(n) {
							numbers++
						}
					}
				}
			}
			if numbers == 0 {
				wrong = append(wrong, fmt.Errorf("%s, %s: no samples", d.title, one.title))
			}
		}
	}
	fmt.Printf("%d of %d panels have samples\n", asked-len(wrong), asked)
	return errors.Join(wrong...)
}

// firing returns which of the alerts fire.
func (p *prometheus) firing(ctx context.Context, alerts []string) ([]string, error) {
	found, err := p.query(ctx, `count by (alertname) (ALERTS{alertstate="firing",alertname=~"`+strings.Join(alerts, "|")+`"})`)
	var names []string
	for _, s := range found {
		names = append(names, s.Metric["alertname"])
	}
	slices.Sort(names)
	return names, err
}

// sees injects a fault, waits until each of its alerts fires, takes it back and waits
// until all have cleared.
func (p *prometheus) sees(ctx context.Context, f fault) error {
	all := slices.Concat(f.alerts, f.late)
	if err := p.cleared(ctx, all); err != nil { // of an earlier fault
		return fmt.Errorf("before %s: %w", f.name, err)
	}
	began := time.Now()
	if err := f.begin(ctx); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	wrong := p.fired(ctx, f.alerts, f.again)
	fired := time.Since(began)
	time.Sleep(f.lasts - fired)
	if wrong = errors.Join(wrong, f.end(ctx)); wrong != nil {
		return fmt.Errorf("%s: %w", f.name, wrong)
	}
	began = time.Now()
	if err := p.fired(ctx, f.late, nil); err != nil {
		return fmt.Errorf("after %s: %w", f.name, err)
	}
	if len(f.late) > 0 {
		fired = time.Since(began)
	}
	if err := p.cleared(ctx, all); err != nil {
		return fmt.Errorf("after %s: %w", f.name, err)
	}
	fmt.Printf("%s: %s fired within %s and cleared %s after it ended\n", f.name, strings.Join(all, ", "),
		fired.Round(time.Second), time.Since(began).Round(time.Second))
	return nil
}

// fired waits until each of the alerts has fired, and calls again meanwhile, if there is
// something to do.
func (p *prometheus) fired(ctx context.Context, alerts []string, again func(context.Context) error) error {
	missing := slices.Clone(alerts)
	var failed error // the next try may go better
	err := p.until(ctx, "did not fire", func(firing []string) []string {
		missing = slices.DeleteFunc(missing, func(name string) bool { return slices.Contains(firing, name) })
		if again != nil && len(missing) > 0 {
			failed = again(ctx)
		}
		return missing
	}, alerts)
	if err != nil {
		return errors.Join(err, failed)
	}
	return nil
}

// cleared waits until none of the alerts fires.
func (p *prometheus) cleared(ctx context.Context, alerts []string) error {
	return p.until(ctx, "did not clear", func(firing []string) []string { return firing }, alerts)
}

// until asks which of the alerts fire until left makes none of them.
func (p *prometheus) until(ctx context.Context, what string, left func(firing []string) []string, alerts []string) error {
	for deadline := time.Now().Add(patience); len(alerts) > 0; time.Sleep(scrapeEvery) {
		firing, err := p.firing(ctx, alerts)
		if err != nil {
			return err
		}
		rest := left(firing)
		if len(rest) == 0 {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return errors.Join(ctx.Err(), fmt.Errorf("%s within %s: %s", what, patience, strings.Join(rest, ", ")))
		}
	}
	return nil
}
