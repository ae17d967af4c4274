package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
)

// files returns the dashboards as Grafana imports them, by file name.
func files() (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, d := range dashboards() {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(d.grafana()); err != nil {
			return nil, err
		}
		all[d.uid+".json"] = text.Bytes()
	}
	return all, nil
}

// write writes the dashboards to a folder.
func write(folder string) error {
	all, err := files()
	if err != nil {
		return err
	}
	for name, text := range all {
		err = errors.Join(err, os.WriteFile(filepath.Join(folder, name), text, 0o644))
	}
	return err
}

type object = map[string]any

// source is the data source that the reader chooses at the top of the dashboard.
var source = object{"type": "prometheus", "uid": "${source}"}

// Two panels beside each other fill the 24 columns of Grafana's grid.
const width, height = 12, 8

func (d dashboard) grafana() object {
	panels := make([]object, len(d.panels))
	for i, p := range d.panels {
		panels[i] = p.grafana(i)
	}
	return object{
		"uid": d.uid, "title": "geminivideo: " + d.title, "description": d.about, "tags": []string{"geminivideo"}, "schemaVersion": 39,
		"editable": false, "refresh": "1m", "time": object{"from": "now-6h", "to": "now"}, "timezone": "utc", "panels": panels,
		"templating": object{"list": []object{{"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"}}},
	}
}

func (p panel) grafana(i int) object {
	targets := make([]object, len(p.queries))
	for j, q := range p.queries {
		targets[j] = object{"refId": string(rune('A' + j)), "datasource": source, "expr": q.expr, "legendFormat": q.legend}
	}
	return object{
		"id": i + 1, "type": "timeseries", "title": p.title, "description": p.about, "datasource": source, "targets": targets,
		"gridPos":     object{"x": i % 2 * width, "y": i / 2 * height, "w": width, "h": height},
		"fieldConfig": object{"defaults": object{"unit": p.unit}, "overrides": []any{}},
		"options":     object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi", "sort": "desc"}},
	}
}
