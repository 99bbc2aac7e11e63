package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Limits of a search.
const (
	searchBlock   = 1 << 20  // bytes read at once; a longer line is searched in pieces
	searchPortion = 64 << 10 // bytes that an expression sees before the time is looked at
	lineShown     = 1000     // bytes of a line that a Hit has
	nearShown     = 16 << 10 // bytes before and behind a hit in which its neighbours are looked for
)

// Place is where a search goes on: at the beginning of a line.
type Place struct {
	Offset int64 // bytes before it
	Line   int64 // lines before it
}

// Search is what to look for in a log.
type Search struct {
	Pattern Pattern
	From    Place
	Hits    int           // at most
	Near    int           // lines shown before and after each
	Bytes   int64         // looked at, at most
	Time    time.Duration // taken, at most, give or take a portion of the text
}

// Hit is a line that has the pattern.
type Hit struct {
	Line          int64 // from 1
	Offset        int64 // of the line
	Text          string
	Match         int64 // offset of the first match in the log
	Length        int64 // of the match
	Before, After []string
}

// Found is what a search found until it ended, for whatever reason.
type Found struct {
	Hits    []Hit
	Next    Place // where to go on
	End     bool  // the log has ended, and nothing of it is left
	Running bool  // more may come
	Size    int64 // of the log
}

// ErrPlace says that a search cannot go on at a place: no line begins there.
var ErrPlace = errors.New("no line of the log begins there")

// Search looks for lines, from a place on, until it has enough or its budget is used up. The last line of a log that
// grows is looked at when it is whole. ErrPlace; else an error is of the disk, or the context's.
func (r *LogReader) Search(ctx context.Context, s Search) (Found, error) {
	running, err := r.Running() // before Size: what is written after it is not missed
	if err != nil {
		return Found{}, err
	}
	size, err := r.Size()
	if err != nil {
		return Found{}, err
	}
	w := &searcher{log: r, want: s, began: time.Now(), found: Found{Hits: []Hit{}, Next: s.From, Running: running, Size: size}}
	if err := w.checkPlace(); err != nil {
		return w.found, err
	}
	for !w.full() && w.found.Next.Offset < size && w.found.Next.Offset-s.From.Offset < s.Bytes && time.Since(w.began) < s.Time {
		if err := ctx.Err(); err != nil {
			return w.found, context.Cause(ctx)
		}
		more, err := w.block()
		if err != nil || !more {
			return w.found, errors.Join(err, w.near())
		}
	}
	w.found.End = !running && w.found.Next.Offset >= size
	return w.found, w.near()
}

type searcher struct {
	log   *LogReader
	want  Search
	began time.Time
	found Found
	buf   []byte
}

func (w *searcher) full() bool { return len(w.found.Hits) >= w.want.Hits }

func (w *searcher) checkPlace() error {
	at := w.want.From.Offset
	if at < 0 || at > w.found.Size || w.want.From.Line < 0 || w.want.From.Line > at {
		return fmt.Errorf("search from byte %d: %w", at, ErrPlace)
	}
	if at == 0 {
		return nil
	}
	before, err := w.read(at-1, 1)
	if err == nil && (len(before) == 0 || before[0] != '\n') && at%searchBlock != 0 {
		err = fmt.Errorf("search from byte %d: %w", at, ErrPlace)
	}
	return err
}

// read is up to n bytes from a place on; fewer at the end.
func (w *searcher) read(at int64, n int) ([]byte, error) {
	if cap(w.buf) < n {
		w.buf = make([]byte, n)
	}
	n = int(min(int64(n), w.found.Size-at))
	if _, err := w.log.Seek(at, io.SeekStart); err != nil {
		return nil, err
	}
	got, err := io.ReadFull(w.log, w.buf[:n])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return w.buf[:got], err
}

// block looks at the next lines; more is false when the last line of a growing log is all there is.
func (w *searcher) block() (more bool, err error) {
	from := w.found.Next
	// Up to where a block of the file ends, so that a line that is cut is cut at the same place each time.
	text, err := w.read(from.Offset, searchBlock-int(from.Offset%searchBlock))
	if err != nil {
		return false, err
	}
	if len(text) == 0 {
		return false, nil
	}
	last := from.Offset+int64(len(text)) >= w.found.Size
	switch end := bytes.LastIndexByte(text, '\n') + 1; {
	case last && !w.found.Running:
	case end > 0:
		text = text[:end]
	case last:
		return false, nil
	default:
		// A line that goes beyond the block: the whole of the next one, or in pieces.
		if text, err = w.read(from.Offset, searchBlock+len(text)); err != nil {
			return false, err
		}
		if end := bytes.LastIndexByte(text, '\n') + 1; end > 0 {
			text = text[:end]
		} else if from.Offset+int64(len(text)) >= w.found.Size && w.found.Running {
			return false, nil
		} else if from.Offset+int64(len(text)) < w.found.Size {
			text = text[:len(text)-int((from.Offset+int64(len(text)))%searchBlock)]
		}
	}
	w.lines(text, from)
	return true, nil
}

// lines looks at whole lines, and moves Next behind what it has looked at.
func (w *searcher) lines(text []byte, from Place) {
	find := w.want.Pattern.in(text)
	at, line := 0, from.Line
	for at < len(text) && !w.full() && (at == 0 || time.Since(w.began) < w.want.Time) {
		end := w.portion(text, at)
		for at < end && !w.full() {
			hit, length := find.find(at, end)
			if hit < 0 {
				line += int64(bytes.Count(text[at:end], []byte{'\n'}))
				at = end
				break
			}
			begin, behind := at+bytes.LastIndexByte(text[at:hit], '\n')+1, end
			if n := bytes.IndexByte(text[hit:end], '\n'); n >= 0 {
				behind = hit + n + 1
			}
			line += int64(bytes.Count(text[at:begin], []byte{'\n'}))
			w.found.Hits = append(w.found.Hits, Hit{Line: line + 1, Offset: from.Offset + int64(begin), Text: shown(text[begin:behind], hit-begin), Match: from.Offset + int64(hit), Length: int64(length)})
			line += int64(bytes.Count(text[begin:behind], []byte{'\n'}))
			at = behind
		}
	}
	w.found.Next = Place{Offset: from.Offset + int64(at), Line: line}
}

// portion is where the next part of the lines ends that is looked at in one go: an expression may take long.
func (w *searcher) portion(text []byte, at int) int {
	if w.want.Pattern.re == nil || len(text)-at <= searchPortion {
		return len(text)
	}
	if n := bytes.LastIndexByte(text[at:at+searchPortion], '\n'); n >= 0 {
		return at + n + 1
	}
	if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
		return at + n + 1
	}
	return len(text)
}

// shown is as much of a line as people look at, with its match in it.
func shown(line []byte, match int) string {
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'})
	if len(line) <= lineShown {
		return string(line)
	}
	begin := max(0, min(match-lineShown/4, len(line)-lineShown))
	return strings.ToValidUTF8(string(line[begin:begin+lineShown]), "")
}

// near adds the lines before and after each hit.
func (w *searcher) near() error {
	if w.want.Near == 0 {
		return nil
	}
	for i := range w.found.Hits {
		h := &w.found.Hits[i]
		from := max(0, h.Offset-nearShown)
		text, err := w.read(from, int(h.Offset-from))
		if err != nil {
			return err
		}
		before := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		if from > 0 {
			before = before[1:] // it is half a line
		}
		if h.Offset > 0 {
			h.Before = cutLines(before[max(0, len(before)-w.want.Near):])
		}
		if text, err = w.read(h.Offset, 2*nearShown); err != nil {
			return err
		}
		if _, rest, ok := strings.Cut(string(text), "\n"); ok && rest != "" {
			after := strings.Split(strings.TrimSuffix(rest, "\n"), "\n")
			h.After = cutLines(after[:min(len(after), w.want.Near)])
		}
	}
	return nil
}

func cutLines(lines []string) []string {
	for i := range lines {
		lines[i] = shown([]byte(lines[i]), 0)
	}
	return lines
}
