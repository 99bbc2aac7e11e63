package replay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"reqpm/internal/index"
	"reqpm/internal/pep508"
)

// Server replays a recording on a loopback address.
type Server struct {
	URL string // of the simple API

	http     *http.Server
	pages    map[string][]byte // by project, with metadata announced
	metadata map[string][]byte // by file name of the wheel
	pageHits atomic.Int64
	fileHits atomic.Int64
}

// Requests is what was asked for: project pages, and metadata and other files.
type Requests struct{ Pages, Files int64 }

// Serve replays the recording in dir until Close. Every answer waits for latency, as one from
// far away does; 0 is none.
func Serve(dir string, latency time.Duration) (*Server, error) {
	s := &Server{pages: map[string][]byte{}, metadata: map[string][]byte{}}
	if err := s.load(dir); err != nil {
		return nil, fmt.Errorf("replay %s: %w", dir, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /simple/{project}/{$}", s.page)
	mux.HandleFunc("GET /files/{file}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("file")
		if data, ok := s.metadata[strings.TrimSuffix(name, ".metadata")]; ok && strings.HasSuffix(name, ".metadata") {
			_, _ = w.Write(data)
			return
		}
		http.ServeFileFS(w, r, os.DirFS(filepath.Join(dir, "files")), name)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	s.URL = "http://" + l.Addr().String() + "/simple"
	s.http = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/simple/") {
			s.pageHits.Add(1)
		} else {
			s.fileHits.Add(1)
		}
		if latency > 0 {
			timer := time.NewTimer(latency)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-r.Context().Done():
				return
			}
		}
		mux.ServeHTTP(w, r)
	})}
	go func() { _ = s.http.Serve(l) }() // ends with Close
	return s, nil
}

// Close ends the server at once.
func (s *Server) Close() { _ = s.http.Close() }

// Requests is what was asked for since the last call of it.
func (s *Server) Requests() Requests {
	return Requests{Pages: s.pageHits.Swap(0), Files: s.fileHits.Swap(0)}
}

// Projects is how many projects the recording has.
func (s *Server) Projects() int { return len(s.pages) }

// errEmpty: a folder that is no recording.
var errEmpty = errors.New("there is no page in it; make a recording with reqpm bench resolve --record")

func (s *Server) load(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "pages", "*.json"))
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errEmpty
	}
	for _, path := range names {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var p page
		if err := json.Unmarshal(text, &p); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		if err := s.announce(dir, &p); err != nil {
			return err
		}
		if s.pages[p.Name], err = json.Marshal(p); err != nil {
			return err
		}
	}
	return nil
}

// announce adds to a page that there are metadata files, with their hashes.
func (s *Server) announce(dir string, p *page) error {
	known := map[string][]byte{} // by version; nil: none
	for i := range p.Files {
		f := &p.Files[i]
		d, ok := index.ParseFilename(f.Filename, p.Name)
		if !ok || d.Kind != index.Wheel {
			continue
		}
		version := d.Version.String()
		data, asked := known[version]
		if !asked {
			var err error
			data, err = os.ReadFile(filepath.Join(dir, "metadata", metadataName(p.Name, version)))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			known[version] = data
		}
		if data != nil {
			sum := sha256.Sum256(data)
			f.CoreMetadata = map[string]string{"sha256": hex.EncodeToString(sum[:])}
			s.metadata[f.Filename] = data
		}
	}
	return nil
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	text, ok := s.pages[pep508.NormalizeName(r.PathValue("project"))]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
	_, _ = w.Write(text)
}
