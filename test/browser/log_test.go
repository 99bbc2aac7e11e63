package browser

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"reqpm/internal/diagnose"
	"reqpm/internal/service"
	"reqpm/internal/store"
)

// viewed are helps of the log viewer's page: what of the log a person sees.
const viewed = `
	window.log = document.querySelector('.log');
	window.shown = e => { if (!e) return false; const r = e.getBoundingClientRect(), v = log.getBoundingClientRect(); return r.top >= v.top - 1 && r.bottom <= v.bottom + 1 && r.height > 0; };
	window.lineAt = n => log.querySelector('[data-n="' + n + '"]');
	window.folds = () => [...log.querySelectorAll('.fold')].map(e => e.getAttribute('aria-expanded')).join(' ');
	void 0`

// openLog visits a build's page, until its log is there.
func (b *tab) openLog(path string) {
	b.t.Helper()
	b.visit(path)
	b.until("the log", "document.querySelector('[data-log]').dataset.ready && document.querySelector('.ll, .fold')", 20*time.Second)
	b.eval(viewed, nil)
}

// phases is the beginning of a build's log: lines of preparation, a line that is wide, and three hits for who searches "needle", one in each phase.
func phases() string {
	var text strings.Builder
	text.WriteString("Building target platforms: x86_64\n")
	for _, p := range []struct {
		name  string
		lines int
	}{{"prep", 60}, {"build", 400}, {"install", 120}} {
		fmt.Fprintf(&text, "Executing(%%%s): /bin/sh -e /var/tmp/rpm-tmp.%[1]s\n", p.name)
		for i := range p.lines {
			switch i {
			case 30:
				fmt.Fprintf(&text, "a Needle in %%%s\n", p.name)
			case 40:
				text.WriteString("wide" + strings.Repeat(" and wider", 60) + "\n")
			default:
				fmt.Fprintf(&text, "%s says line %d\n", p.name, i)
			}
		}
	}
	return text.String()
}

// TestLogViewer reads a log as somebody does who looks for something in it: phases are opened and folded, lines wrapped, addressed, searched,
// and the log is saved while it grows and when it is whole.
func TestLogViewer(t *testing.T) {
	s := work.get(t)
	h := worker(t, s)
	step := h.claim()
	log, err := h.Logs.Create(store.LogName(step.Run, step.ID, step.Attempt))
	must(t, err)
	defer log.Close()
	text := phases()
	_, err = io.WriteString(log, text)
	must(t, err)
	lines := strings.Split(text, "\n")
	b := open(t, s)
	b.openLog(buildPath(step.ID))

	// Of what runs only the last phase is open.
	b.until("the end, which is followed", fmt.Sprintf("shown(lineAt(%d))", len(lines)-1), 10*time.Second)
	b.click(".logbar [data-follow]", "Follow") // let go
	b.eval("log.scrollTop = 0", nil)
	b.until("the phases, the last of them open", "folds() === 'false false false true'", 10*time.Second)
	b.eval("log.scrollLeft = 600", nil) // however wide the lines are
	head := func(n int) string { return fmt.Sprintf("log.querySelectorAll('.fold')[%d]", n) }
	b.press(head(1))
	b.until("%prep is open, and has kept the focus", "folds().startsWith('false true false') && shown(lineAt(2)) && document.activeElement === "+head(1), 5*time.Second)
	b.keys(enter)
	b.until("%prep is folded", "folds() === 'false false false true' && !lineAt(2)", 5*time.Second)
	b.keys(enter)
	b.keys("z")
	b.until("all are open", "folds().startsWith('true true') && shown(lineAt(2))", 5*time.Second)
	var height struct{ Pane, Line float64 }
	b.eval("({ pane: document.querySelector('.logpane').offsetHeight, line: lineAt(2).offsetHeight })", &height)
	if want := float64(len(lines)-1) * height.Line; height.Pane < want {
		t.Errorf("all phases are open, and %v px high: %d lines are %v", height.Pane, len(lines)-1, want)
	}
	b.keys("z")
	b.until("all are folded", "folds() === 'false false false false' && !document.querySelector('.ll')", 5*time.Second)
	b.press(head(2))
	b.openLog(buildPath(step.ID))
	b.until("the end, which is followed", fmt.Sprintf("shown(lineAt(%d))", len(lines)-1), 10*time.Second)
	b.click(".logbar [data-follow]", "Follow")
	b.eval("log.scrollTop = 0", nil)
	b.until("what was opened is open", "folds() === 'false false true'", 5*time.Second) // the last is far below
	b.keys("z")
	b.keys("z")
	b.until("all are folded again", "folds() === 'false false false false'", 5*time.Second)

	// Lines of an address, of a phase that is folded.
	b.openLog(buildPath(step.ID) + "#L10-L20")
	b.until("the lines of the address are seen and marked", "shown(lineAt(10)) && [...log.querySelectorAll('.range')].map(e => e.dataset.n).join() === '10,11,12,13,14,15,16,17,18,19,20'", 10*time.Second)
	b.click(".ll[data-n='12'] > a", "12")
	b.until("the address is of one line", "location.hash === '#L12' && log.querySelectorAll('.range').length === 1", 5*time.Second)
	b.eval("lineAt(15).querySelector('a').dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true, shiftKey: true }))", nil)
	b.until("the address is of four lines", "location.hash === '#L12-L15' && log.querySelectorAll('.range').length === 4", 5*time.Second)

	// A wide line: seen by scrolling, or wrapped, which the next page remembers.
	wide := "lineAt(43)"
	b.until("a line that is wider than the window", wide+" && log.scrollWidth > log.clientWidth + 1000 && "+wide+".offsetHeight < 30", 5*time.Second)
	b.keys("w")
	b.until("it is wrapped", wide+" && log.scrollWidth <= log.clientWidth + 1 && "+wide+".offsetHeight > 60", 5*time.Second)
	b.openLog(buildPath(step.ID) + "#L40")
	b.until("it is wrapped on the next page", "document.querySelector('[data-wrap]').getAttribute('aria-pressed') === 'true' && "+wide+"?.offsetHeight > 60", 10*time.Second)
	b.keys("w")
	b.until("it is wide again", wide+"?.offsetHeight < 30", 5*time.Second)

	// What is searched for is found in every phase, also in those that are folded.
	b.keys("/")
	b.until("the field has the focus", "document.activeElement.matches('.find input')", 5*time.Second)
	b.fill(".find input", "needle")
	at := func(place string) {
		t.Helper()
		b.until("hit "+place, "document.querySelector('[data-hits]').textContent === "+quoted(place)+" && shown(log.querySelector('mark.now')) && log.querySelector('mark.now').textContent === 'Needle'", 10*time.Second)
	}
	found := func(phase string) {
		t.Helper()
		b.until("it is the one of %"+phase, "log.querySelector('mark.now').closest('.ll').innerText.includes('in %"+phase+"')", 5*time.Second)
	}
	b.until("the hits", "document.querySelector('[data-hits]').textContent.endsWith(' of 3')", 10*time.Second)
	b.run(chromedp.KeyEvent(escape)) // leaves the field
	b.until("the log has the focus", "document.activeElement === log", 5*time.Second)
	for range 4 {
		var now string
		b.eval("document.querySelector('[data-hits]').textContent", &now)
		if now == "3 of 3" {
			break
		}
		b.keys("n")
		b.until("another hit", "document.querySelector('[data-hits]').textContent !== "+quoted(now), 5*time.Second)
	}
	at("3 of 3")
	found("install")
	b.keys("n")
	at("1 of 3")
	found("prep")
	b.keys("N")
	at("3 of 3")
	b.keys("N")
	at("2 of 3")
	found("build")
	b.keys(escape)
	b.until("no more hits", "!log.querySelector('mark') && document.querySelector('[data-hits]').textContent === ''", 5*time.Second)

	// Saved while it grows: what is there so far.
	dir := t.TempDir()
	_, err = chromedp.CallBrowser(b.ctx, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID})
	must(t, err)
	saved := func(when string) {
		t.Helper()
		b.click(".logbar a[download]", "gzip")
		path := b.saved(dir, "*.log.gz")
		if got := unpacked(t, path); got != text {
			t.Errorf("%s, the compressed log has %d bytes, and is to have %d", when, len(got), len(text))
		}
		must(t, os.Remove(path))
		b.expect("/favicon.ico") // which a browser asks for beside a text
		b.click(".logbar a", "Raw")
		b.until("the raw log", "location.pathname.endsWith('/log/raw') && document.body", 10*time.Second)
		var got string
		b.eval("document.body.textContent", &got)
		if got != text {
			t.Errorf("%s, the raw log has %d bytes, and is to have %d", when, len(got), len(text))
		}
		b.openLog(buildPath(step.ID))
	}
	saved("while it grows")

	// It fails while somebody looks: where it did is one key away.
	more := "  src/etree.c:99:10: fatal error: libxml/xmlversion.h: No such file or directory\n  compilation terminated.\n" + strings.Repeat("cleaning up\n", 200) + "error: Bad exit status from /var/tmp/rpm-tmp.install (%install)\n"
	text += more
	_, err = io.WriteString(log, more)
	must(t, errors.Join(err, log.Close()))
	b.until("the log has ended, and its build has not", "document.querySelector('[data-follow]').hidden && document.querySelector('[data-first]').hidden", 20*time.Second)
	findings := diagnose.ReadText(text, diagnose.Facts{})
	if len(findings) == 0 {
		t.Fatal("nothing is found in the log")
	}
	result, err := json.Marshal(service.Built{State: "failed", Why: string(findings[0].Cause), Findings: findings})
	must(t, err)
	h.write(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.FinishStep(ctx, store.Finish{Step: step.ID, Attempt: step.Attempt, Worker: step.Worker, State: store.Failed, Cause: "libxml/xmlversion.h is missing", Result: result})
		return err
	})
	b.until("the button of the first error", one("[data-first]", "First error"), 20*time.Second)
	first := "log.querySelector('.ll.first')"
	b.eval("log.scrollTop = 0", nil)
	b.until("the top", "!shown("+first+")", 5*time.Second)
	b.keys("e")
	b.until("the first error", "shown("+first+") && "+first+".innerText.includes('fatal error: libxml/xmlversion.h') && "+first+".innerText.includes('first error')", 10*time.Second)
	b.openLog(buildPath(step.ID))
	b.until("the page opens at the first error", "shown("+first+")", 10*time.Second)
	saved("when it is whole")
}

// TestProjectLog hides a project's log and shows it again: what is hidden stays so on the next page, and what was said meanwhile is there.
func TestProjectLog(t *testing.T) {
	s := work.get(t)
	h := worker(t, s)
	step := h.running()
	project, err := h.Store.Project(t.Context(), step.Project)
	must(t, err)
	say := func(message string) {
		t.Helper()
		h.write(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.AddLogEntry(ctx, store.LogEntry{Project: step.Project, Run: step.Run, Level: "info", Message: message})
			return err
		})
	}
	b := open(t, s)
	path := "/projects/" + project.Name
	b.visit(path)
	b.live()
	last := func(message string) string {
		return fmt.Sprintf("(e => e && e.innerText.includes(%s) && e.checkVisibility() && e.getBoundingClientRect().bottom <= document.querySelector('#log').getBoundingClientRect().bottom + 1)(document.querySelector('#log > :last-child'))", quoted(message))
	}
	const hidden = "!document.querySelector('#log').checkVisibility()"
	say("the first line")
	b.until("a line of the log", last("the first line"), 20*time.Second)
	b.click("summary", "Live log")
	b.until("the log is hidden", hidden, 5*time.Second)
	say("a line that nobody sees")
	b.until("the page has it", "document.querySelector('#log').textContent.includes('a line that nobody sees')", 20*time.Second)
	b.until("and shows none", hidden, time.Second)
	b.visit(path)
	b.live()
	b.until("it is hidden on the next page too", hidden, 5*time.Second)
	say("another line")
	b.click("summary", "Live log")
	b.until("it is shown, with its end", last("another line"), 20*time.Second)
	b.visit(path)
	b.until("it is shown on the next page too", "document.querySelector('#log')?.checkVisibility()", 20*time.Second)
}

func unpacked(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	z, err := gzip.NewReader(file)
	must(t, err)
	text, err := io.ReadAll(z)
	must(t, err)
	return string(text)
}
