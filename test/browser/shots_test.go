package browser

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"

	"reqpm/internal/store"
)

// shotNames are what pictures of kinds of pages are called; "": there is none. Other kinds are called by their address.
var shotNames = map[string]string{
	"/": "dashboard", "/projects/NAME": "project", "/projects/new": "new", "/runs/N": "run", "/runs/N/compare": "compare", "/runs/N/fix/N": "fix", "build failed": "build", "/users/NAME": "user",
	"/builds/N": "", "lost": "",
}

var notInName = regexp.MustCompile(`[^a-z]+`)

// shotName is the name of a picture, without its width.
func shotName(kind string) string {
	if name, ok := shotNames[kind]; ok {
		return name
	}
	if strings.HasPrefix(kind, "build ") {
		return "" // of the other states
	}
	kind = strings.NewReplacer("/NAME", "", "/N", "", "/projects/", "/project/", "/builds", "/build").Replace(kind)
	return strings.Trim(notInName.ReplaceAllString(kind, "-"), "-")
}

// TestScreenshots takes the pictures of docs/pages: REQPM_SHOTS names the folder. Every page at 1440 and 375 pixels, dark, and some light.
// They have at most 256 colours each, which makes them a third as large.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("REQPM_SHOTS")
	if dir == "" {
		t.Skip("takes pictures; set REQPM_SHOTS to their folder")
	}
	dir, err := filepath.Abs(dir)
	must(t, err)
	must(t, os.MkdirAll(dir, 0o755))
	s := past.get(t)
	b := open(t, s)
	failed, err := worker(t, s).Store.Step(t.Context(), buildsOf(t)[store.Failed])
	must(t, err)
	for _, site := range sites(t) {
		name := shotName(site.kind)
		if name == "" {
			continue
		}
		switch site.kind { // those with the most to see
		case "/runs/N":
			site.path = runPath(failed.Run)
		case "/runs/N/compare":
			site.path = runPath(failed.Run) + "/compare"
		case "/projects/NAME":
			site.path = "/projects/billing-api"
		}
		for _, width := range []int64{1440, 375} {
			b.size(width, 900)
			b.visitSite(site)
			b.until("the page is loaded", loadedWhole, 20*time.Second)
			b.eval("new Promise(done => setTimeout(done, 700))", nil) // what comes a moment later: the log
			b.shot(filepath.Join(dir, name+"-"+map[int64]string{1440: "1440", 375: "375"}[width]+".png"))
			if width == 1440 && (name == "run" || name == "dashboard" || name == "build") {
				b.eval("document.documentElement.dataset.theme = 'light'", nil)
				b.eval("new Promise(done => setTimeout(done, 300))", nil)
				b.shot(filepath.Join(dir, name+"-1440-light.png"))
			}
		}
	}
}

// shot takes a picture of the page in its full height.
func (b *tab) shot(path string) {
	b.t.Helper()
	b.eval("window.scrollTo(0, 0); document.querySelectorAll('.changed').forEach(e => e.classList.remove('changed'))", nil) // it flashes for a moment
	var height, width int64
	b.eval("innerWidth", &width)
	for _, h := range []int64{6000, 900} { // what is far below has its height when it has been near, and keeps it
		b.size(width, h)
		b.eval("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))", nil)
	}
	b.eval("document.documentElement.scrollHeight", &height)
	b.size(width, max(900, min(height, 6000)))
	picture := call(b, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: "png"})
	b.size(width, 900)
	full, err := png.Decode(bytes.NewReader(picture.Data))
	must(b.t, err)
	var out bytes.Buffer
	must(b.t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few(full)))
	must(b.t, os.WriteFile(path, out.Bytes(), 0o644))
}

// few is a picture with the 256 colours that it has most of, and for each other one the nearest of them.
func few(full image.Image) *image.Paletted {
	count := map[color.RGBA]int{}
	r := full.Bounds()
	at := func(x, y int) color.RGBA {
		c, _ := color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)
		return c
	}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int { return count[b] - count[a] })
	out := image.NewPaletted(r, nil)
	for _, c := range all[:min(256, len(all))] {
		out.Palette = append(out.Palette, c)
	}
	index := map[color.RGBA]uint8{}
	for _, c := range all {
		index[c] = uint8(out.Palette.Index(c))
	}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			out.SetColorIndex(x, y, index[at(x, y)])
		}
	}
	return out
}
