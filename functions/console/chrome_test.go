//go:build browser

package console_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tab is one page of a headless Chromium, driven over its debugging pipe.
type tab struct {
	t       testing.TB
	in      io.Writer
	session string

	mu       sync.Mutex
	last     int
	waiting  map[int]chan reply
	troubles []string
}

type reply struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// openTab starts a browser with nothing in it.
func openTab(t testing.TB, browser string) *tab {
	t.Helper()
	fromUs, toBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromBrowser, toUs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--lang=en-US",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{fromUs, toUs} // 3 is read and 4 is written by the browser
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fromUs.Close()
	toUs.Close()
	b := &tab{t: t, in: toBrowser, waiting: map[int]chan reply{}}
	go b.listen(fromBrowser)
	t.Cleanup(func() {
		b.call("Browser.close", nil, nil)
		_ = cmd.Wait()
		toBrowser.Close()
		fromBrowser.Close()
	})
	var target struct {
		ID string `json:"targetId"`
	}
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct {
		Session string `json:"sessionId"`
	}
	b.call("Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	b.session = attached.Session
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

func (b *tab) listen(from io.Reader) {
	all := bufio.NewReaderSize(from, 1<<20)
	for {
		text, err := all.ReadBytes(0)
		if err != nil {
			return
		}
		var r reply
		if json.Unmarshal(text[:len(text)-1], &r) != nil {
			continue
		}
		b.mu.Lock()
		if r.Method == "Runtime.exceptionThrown" || r.Method == "Log.entryAdded" {
			b.troubles = append(b.troubles, string(r.Params))
		}
		if answer := b.waiting[r.ID]; answer != nil {
			delete(b.waiting, r.ID)
			answer <- r
		}
		b.mu.Unlock()
	}
}

// call asks the browser for something and reads its answer into out.
func (b *tab) call(method string, params map[string]any, out any) {
	b.t.Helper()
	answer := make(chan reply, 1)
	b.mu.Lock()
	b.last++
	b.waiting[b.last] = answer
	text, _ := json.Marshal(map[string]any{"id": b.last, "method": method, "params": params, "sessionId": b.session})
	if b.session == "" || method == "Browser.close" {
		text, _ = json.Marshal(map[string]any{"id": b.last, "method": method, "params": params})
	}
	_, err := b.in.Write(append(text, 0))
	b.mu.Unlock()
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case r := <-answer:
		if r.Error != nil {
			b.t.Fatalf("%s: %s", method, r.Error.Message)
		}
		if out != nil {
			if err := json.Unmarshal(r.Result, out); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
	case <-time.After(2 * time.Minute):
		b.t.Fatalf("%s: the browser does not answer", method)
	}
}

// size makes the window so wide and high, light or dark.
func (b *tab) size(width, height int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

func (b *tab) open(url string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	b.wait("document.readyState === 'complete'")
}

// eval returns what a JavaScript expression gives, as text.
func (b *tab) eval(expression string) string {
	b.t.Helper()
	var out struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		Exception *struct {
			Text string `json:"text"`
		} `json:"exceptionDetails"`
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &out)
	if out.Exception != nil {
		b.t.Fatalf("%s: %s", expression, out.Exception.Text)
	}
	return fmt.Sprint(out.Result.Value)
}

// wait waits until an expression is true.
func (b *tab) wait(expression string) {
	b.t.Helper()
	for range 1200 {
		if b.eval("Boolean(document.body && ("+expression+"))") == "true" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.t.Fatalf("in vain waited for %s; the page says:\n%s", expression, b.eval("document.body.innerText"))
}

// says waits until the page shows every one of these texts.
func (b *tab) says(texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		quoted, _ := json.Marshal(text)
		b.wait("document.body.innerText.toLowerCase().includes(" + string(quoted) + ".toLowerCase())")
	}
}

// press clicks the first button of that name.
func (b *tab) press(name string) {
	b.t.Helper()
	quoted, _ := json.Marshal(name)
	button := "[...document.querySelectorAll('button')].find((one) => one.textContent === " + string(quoted) + " && !one.disabled)"
	b.wait(button)
	b.eval(button + ".click()")
}

// choose puts a file into an input, as its reader would.
func (b *tab) choose(selector, file string) {
	b.t.Helper()
	var input struct {
		Result struct {
			ID string `json:"objectId"`
		} `json:"result"`
	}
	b.call("Runtime.evaluate", map[string]any{"expression": "document.querySelector('" + selector + "')"}, &input)
	b.call("DOM.setFileInputFiles", map[string]any{"files": []string{file}, "objectId": input.Result.ID}, nil)
}

// shoot keeps a picture of the window, or of the whole page.
func (b *tab) shoot(file string, whole bool) {
	b.t.Helper()
	var shot struct {
		Data string `json:"data"`
	}
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": whole}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(file, data, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// forgive forgets complaints that hold text.
func (b *tab) forgive(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.troubles = slices.DeleteFunc(b.troubles, func(trouble string) bool { return strings.Contains(trouble, text) })
}

func (b *tab) noTroubles() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, trouble := range b.troubles {
		b.t.Errorf("the browser complains: %s", trouble)
	}
	b.troubles = nil
}
