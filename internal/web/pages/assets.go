package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/a-h/templ"
)

// What pages load: style, script and the pictures of their state. The name of each has a digest of its content, so
// that browsers may keep it for ever, and a new version is another address.

//go:embed assets
var assetFiles embed.FS

const assetPrefix = "/assets/"

// asset is one file as it is served.
type asset struct {
	text  []byte
	media string
}

var mediaTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// assets are by the name that is served, assetNames by the one that a file has here. All styles are one file, and all scripts:
// each that is asked for keeps the first paint waiting. sprite are the icons, which every page has inside it.
var assets, assetNames, sprite = readAssets()

// Those that come before the others of their kind, which follow by name.
var firstAssets = []string{"tokens.css", "app.css", "app.js"}

const (
	allStyles  = "reqpm.css"
	allScripts = "reqpm.js"
)

func readAssets() (served map[string]asset, names map[string]string, icons templ.Component) {
	served, names = map[string]asset{}, map[string]string{}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // they are part of the program
	}
	order := slices.Clone(firstAssets)
	for _, e := range entries {
		if !slices.Contains(order, e.Name()) {
			order = append(order, e.Name())
		}
	}
	whole := map[string][]byte{}
	for _, name := range order {
		text, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			panic(err)
		}
		switch ext := path.Ext(name); {
		case name == "sprite.svg":
			icons = templ.Raw(string(text))
			continue
		case ext == ".css":
			name = allStyles
		case ext == ".js":
			name = allScripts
		}
		whole[name] = append(whole[name], text...)
	}
	for name, text := range whole {
		sum := sha256.Sum256(text)
		ext := path.Ext(name)
		digested := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		served[digested] = asset{text, mediaTypes[ext]}
		names[name] = assetPrefix + digested
	}
	return served, names, icons
}

// assetPath is where a file is served.
func assetPath(name string) string { return assetNames[name] }

func serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.media)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(a.text) // to somebody who may have gone
}
