package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"maps"
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

// assets are by the name that is served, assetNames by the one that a file has here. sprite are the icons, which
// every page has inside it.
var assets, assetNames, sprite = readAssets()

func readAssets() (served map[string]asset, names map[string]string, icons templ.Component) {
	served, names = map[string]asset{}, map[string]string{}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err) // they are part of the program
	}
	for _, e := range entries {
		text, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		if e.Name() == "sprite.svg" {
			icons = templ.Raw(string(text))
			continue
		}
		sum := sha256.Sum256(text)
		ext := path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		served[name] = asset{text, mediaTypes[ext]}
		names[e.Name()] = assetPrefix + name
	}
	return served, names, icons
}

// assetPath is where a file is served.
func assetPath(name string) string { return assetNames[name] }

// assetsOf are the addresses of all files of a kind: the first ones first, the rest by name.
func assetsOf(ext string, first ...string) []string {
	names := slices.Clone(first)
	for _, name := range slices.Sorted(maps.Keys(assetNames)) {
		if path.Ext(name) == ext && !slices.Contains(first, name) {
			names = append(names, name)
		}
	}
	for i, name := range names {
		names[i] = assetPath(name)
	}
	return names
}

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
