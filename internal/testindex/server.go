package testindex

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pelletier/go-toml/v2"

	"reqpm/internal/pep508"
)

// Trouble is what an index does instead of answering.
type Trouble string

// The troubles of a whole index; "" is none.
const (
	Healthy    Trouble = ""
	Missing    Trouble = "404"
	Failing    Trouble = "500"
	Truncated  Trouble = "truncated"    // pages end in the middle
	HTMLAsJSON Trouble = "html-as-json" // a sign-in page with the type of a JSON page
	Hanging    Trouble = "hanging"      // no answer ever
	OnlyHTML   Trouble = "only-html"    // no trouble: a healthy index that knows no JSON
)

// Server is an index on a loopback address.
type Server struct {
	URL string // of the simple API

	http     *httptest.Server
	mu       sync.Mutex
	projects map[string][]file
	trouble  Trouble
	login    string // USER:PASSWORD, "": everybody is let in
	requests atomic.Int64
	first    chan struct{}
}

type file struct {
	name    string
	data    []byte
	sha256  string
	pkg     Package
	isWheel bool
}

// Start serves the packages until Close.
func Start(packages ...Package) (*Server, error) {
	s := &Server{projects: map[string][]file{}, first: make(chan struct{})}
	if err := s.Add(packages...); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /simple/{project}/{$}", s.page)
	mux.HandleFunc("GET /files/{file}", s.file)
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.requests.Add(1) == 1 {
			close(s.first)
		}
		if s.mayCome(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	s.URL = s.http.URL + "/simple"
	return s, nil
}

// Read reads descriptions from TOML: [[package]] tables with the fields of Package.
func Read(text []byte) ([]Package, error) {
	var doc struct {
		Package []Package `toml:"package"`
	}
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&doc)
	return doc.Package, err
}

// Close ends the server; later requests are refused by the machine.
func (s *Server) Close() { s.http.Close() }

// Requests is how many requests came so far.
func (s *Server) Requests() int64 { return s.requests.Load() }

// First is closed when the first request comes.
func (s *Server) First() <-chan struct{} { return s.first }

// SetTrouble changes what the index does from now on.
func (s *Server) SetTrouble(t Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = t
}

// SetLogin lets in only who brings a user name and password, by HTTP's basic authentication.
func (s *Server) SetLogin(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login = user + ":" + password
}

// mayCome answers whoever does not bring them.
func (s *Server) mayCome(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, password, _ := r.BasicAuth()
	if s.login == "" || s.login == user+":"+password {
		return true
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="index"`)
	http.Error(w, "no", http.StatusUnauthorized)
	return false
}

// Add puts packages onto the index.
func (s *Server) Add(packages ...Package) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range packages {
		list, err := p.files()
		if err != nil {
			return fmt.Errorf("package %s %s: %w", p.Name, p.Version, err)
		}
		key := pep508.NormalizeName(p.Name)
		s.projects[key] = append(s.projects[key], list...)
	}
	return nil
}

// files are what the package has on the index.
func (p Package) files() ([]file, error) {
	var list []file
	add := func(name string, data []byte, wheel bool) {
		sum := sha256.Sum256(data)
		f := file{name: name, data: data, sha256: hex.EncodeToString(sum[:]), pkg: p, isWheel: wheel}
		if p.Fault == NoHash {
			f.sha256 = ""
		}
		if p.Fault == WrongHash && !wheel {
			f.sha256 = strings.Repeat("0", 64)
		}
		list = append(list, f)
	}
	if p.Files != "wheel" {
		name, data, err := p.Sdist()
		if err != nil {
			return nil, err
		}
		add(name, data, false)
	}
	if p.Files != "" {
		name, data, err := p.Wheel()
		if err != nil {
			return nil, err
		}
		add(name, data, true)
	}
	return list, nil
}

// WriteFolder writes every file of the packages into dir: an index for --find-links.
func WriteFolder(dir string, packages ...Package) error {
	for _, p := range packages {
		list, err := p.files()
		if err != nil {
			return err
		}
		for _, f := range list {
			if err := os.WriteFile(filepath.Join(dir, f.name), f.data, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	list, trouble := s.projects[r.PathValue("project")], s.trouble
	s.mu.Unlock()
	switch {
	case trouble == Hanging:
		<-r.Context().Done()
		return
	case trouble == Failing:
		http.Error(w, "the database is on fire", http.StatusInternalServerError)
		return
	case trouble == Missing || len(list) == 0:
		http.NotFound(w, r)
		return
	case trouble == HTMLAsJSON:
		w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
		fmt.Fprint(w, "<!DOCTYPE html><html><title>Sign in</title></html>")
		return
	}
	kind, text := "application/vnd.pypi.simple.v1+json", jsonPage(r.PathValue("project"), list)
	if trouble == OnlyHTML {
		kind, text = "text/html", htmlPage(list)
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	if trouble == Truncated {
		text = text[:len(text)/2]
	}
	_, _ = w.Write(text)
}

func jsonPage(project string, list []file) []byte {
	files := []map[string]any{}
	for _, f := range list {
		entry := map[string]any{"filename": f.name, "url": "../../files/" + f.name, "hashes": hashes(f), "size": len(f.data)}
		if f.pkg.RequiresPython != "" {
			entry["requires-python"] = f.pkg.RequiresPython
		}
		if f.pkg.Yanked != "" {
			entry["yanked"] = f.pkg.Yanked
		}
		if !f.pkg.Uploaded.IsZero() {
			entry["upload-time"] = f.pkg.Uploaded.UTC().Format("2006-01-02T15:04:05.000000Z")
		}
		files = append(files, entry)
	}
	text, _ := json.Marshal(map[string]any{"meta": map[string]string{"api-version": "1.1"}, "name": project, "files": files})
	return text
}

func hashes(f file) map[string]string {
	if f.sha256 == "" {
		return map[string]string{}
	}
	return map[string]string{"sha256": f.sha256}
}

func htmlPage(list []file) []byte {
	var b bytes.Buffer
	b.WriteString("<!DOCTYPE html><html><body>\n")
	for _, f := range list {
		more := ""
		if f.pkg.RequiresPython != "" {
			more += fmt.Sprintf(` data-requires-python="%s"`, html.EscapeString(f.pkg.RequiresPython))
		}
		if f.pkg.Yanked != "" {
			more += fmt.Sprintf(` data-yanked="%s"`, html.EscapeString(f.pkg.Yanked))
		}
		fmt.Fprintf(&b, "<a href=\"../../files/%s#sha256=%s\"%s>%s</a>\n", f.name, f.sha256, more, f.name)
	}
	return b.Bytes()
}

func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	var found *file
	for _, list := range s.projects {
		for i := range list {
			if list[i].name == r.PathValue("file") {
				found = &list[i]
			}
		}
	}
	trouble := s.trouble
	s.mu.Unlock()
	switch {
	case trouble == Failing:
		http.Error(w, "the disk is on fire", http.StatusInternalServerError)
	case found == nil || found.pkg.Fault == Gone:
		http.NotFound(w, r)
	case found.pkg.Fault == CutShort:
		w.Header().Set("Content-Length", fmt.Sprint(len(found.data)))
		_, _ = w.Write(found.data[:len(found.data)/2])
	default:
		_, _ = w.Write(found.data)
	}
}
