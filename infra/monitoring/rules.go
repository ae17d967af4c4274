package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ruleFile is alerts.yml.
type ruleFile struct {
	Groups []ruleGroup `yaml:"groups"`
}

type ruleGroup struct {
	Name     string `yaml:"name"`
	Interval string `yaml:"interval,omitempty"`
	Rules    []rule `yaml:"rules"`
}

type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readRules(path string) (*ruleFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var f ruleFile
	if err := yaml.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &f, nil
}

// all are the rules of all groups.
func (f *ruleFile) all() (rules []rule) {
	for _, g := range f.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// names are the metrics that an expression reads.
var names = regexp.MustCompile(`\b(gv_[a-z0-9_]+|[a-z]+_googleapis_com:[a-z0-9_]+)`)

// metricsOf returns the metrics of the list that an expression reads, without what
// Prometheus adds for the parts of a histogram, and those of Google's own.
func metricsOf(expr string, histogram func(name string) bool) (ours, googles []string) {
	for _, name := range names.FindAllString(expr, -1) {
		if !strings.HasPrefix(name, "gv_") {
			googles = append(googles, name)
			continue
		}
		for _, part := range []string{"_bucket", "_count", "_sum"} {
			if whole, ok := strings.CutSuffix(name, part); ok && histogram(whole) {
				name = whole
				break
			}
		}
		ours = append(ours, name)
	}
	return ours, googles
}
