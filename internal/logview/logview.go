// Package logview makes of a log what a page shows of it: lines by number, the phases of a build, hits of
// a search, and each line as runs of text whose colours are class names. It reads bytes and writes no
// markup: whatever a build wrote, escape sequences, tags or marks that turn the direction of text, is text.
//
// An Index may be used by one goroutine at a time; the functions have no state.
package logview

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"reqpm/internal/builder"
	"reqpm/internal/builder/rpmlog"
)

const (
	markEvery = 256      // lines between two places that the index remembers
	maxLine   = 16 << 10 // bytes of a line that are shown: the file has all of it
	readSize  = 256 << 10
)

// Section is a part of a log that folds: what one phase of a build wrote, or what came before the first.
type Section struct {
	Phase builder.Phase // "": not a phase of a build
	Try   string        // which try of the build, where a repair made it begin again: "1", "2"
	From  int           // its first line
}

// piece is where lines of a file of the build stand in the log: from the line of the log on, beginning with the
// line of the file.
type piece struct {
	file     string
	at, line int
}

// Index knows where lines are. The zero Index is that of a log of which nothing was read.
type Index struct {
	marks    []int64 // offset of line 1, 1+markEvery, …
	lines    int     // that are whole
	size     int64   // of them
	partial  bool    // something follows that has no end yet
	sections []Section
	pieces   []piece
	file     string // that the log is in the middle of
	try      string
	phase    builder.Phase
}

// Lines is how many there are, with one that has no end yet.
func (x *Index) Lines() int {
	if x.partial {
		return x.lines + 1
	}
	return x.lines
}

// Sections are the parts found so far; the first begins with line 1.
func (x *Index) Sections() []Section { return x.sections }

// Extend reads what the log has beyond what the index knows.
func (x *Index) Extend(log io.ReadSeeker) error {
	if _, err := log.Seek(x.size, io.SeekStart); err != nil {
		return err
	}
	x.partial = false
	in := bufio.NewReaderSize(log, readSize)
	for {
		line, length, err := readLine(in, 400)
		if errors.Is(err, io.EOF) {
			x.partial = length > 0
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the lines of a log: %w", err)
		}
		if x.lines%markEvery == 0 {
			x.marks = append(x.marks, x.size)
		}
		x.lines++
		x.size += length
		x.see(line)
	}
}

// readLine gives a line without its end, at most so many bytes of it, and its whole length. io.EOF comes with
// what has no end yet.
func readLine(in *bufio.Reader, most int) (line []byte, length int64, err error) {
	line, err = in.ReadSlice('\n')
	length = int64(len(line))
	if errors.Is(err, bufio.ErrBufferFull) {
		line = bytes.Clone(line[:min(len(line), most)])
		for errors.Is(err, bufio.ErrBufferFull) {
			var more []byte
			more, err = in.ReadSlice('\n')
			length += int64(len(more))
		}
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	return line[:min(len(line), most)], length, err
}

// see notes where phases and files begin.
func (x *Index) see(line []byte) {
	if x.lines == 1 {
		x.sections = append(x.sections, Section{From: 1})
	}
	if title, ok := bytes.CutPrefix(line, []byte("==> ")); ok {
		x.file = string(title)
		x.pieces = append(x.pieces, piece{x.file, x.lines + 1, x.fileLines(x.file) + 1})
		if try := tryOf(x.file); try != x.try || x.phase == "" || strings.HasSuffix(x.file, "root.log") && x.phase != builder.PhaseRoot {
			x.try = try
			x.enter(builder.PhaseRoot)
		}
		return
	}
	if len(line) == 0 || line[0] != 'E' && line[0] != 'P' {
		return
	}
	if phase, ok := rpmlog.PhaseOf(string(line)); ok && phase != x.phase {
		x.enter(phase)
	}
}

func (x *Index) enter(phase builder.Phase) {
	x.phase = phase
	if last := len(x.sections) - 1; x.sections[last].From == x.lines {
		x.sections[last] = Section{phase, x.try, x.lines}
		return
	}
	x.sections = append(x.sections, Section{phase, x.try, x.lines})
}

// tryOf is N of ".../NAME/N/build.log", which the service writes above each file of a build.
func tryOf(file string) string {
	parts := strings.Split(file, "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[len(parts)-2]
}

// fileLines is how many lines of a file have been seen.
func (x *Index) fileLines(file string) int {
	n := 0
	for i, p := range x.pieces {
		if p.file != file {
			continue
		}
		end := x.lines // the title of the next file is not of this one
		if i+1 < len(x.pieces) {
			end = x.pieces[i+1].at - 1
		}
		n = p.line + end - p.at - 1
	}
	return n
}

// InFile lists the lines of the log that may be a line of a build's own log, the last try first: what finds
// causes counts in that file.
func (x *Index) InFile(line int) []int {
	var found []int
	if len(x.pieces) == 0 && line >= 1 && line <= x.lines {
		return []int{line} // it is a build's own log
	}
	for i := len(x.pieces) - 1; i >= 0; i-- {
		p := x.pieces[i]
		end := x.lines
		if i+1 < len(x.pieces) {
			end = x.pieces[i+1].at - 2
		}
		if at := p.at + line - p.line; line >= p.line && at <= end {
			found = append(found, at)
		}
	}
	return found
}

// Read gives lines from the one of a number on, cut where they are very long.
func (x *Index) Read(log io.ReadSeeker, from, count int) ([][]byte, error) {
	from = max(from, 1)
	if from > x.Lines() {
		return nil, nil
	}
	mark := (from - 1) / markEvery
	offset, skip := x.size, 0
	if mark < len(x.marks) {
		offset, skip = x.marks[mark], (from-1)%markEvery
	}
	if _, err := log.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(log, readSize)
	var lines [][]byte
	for n := 0; len(lines) < count; n++ {
		line, length, err := readLine(in, maxLine)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the lines of a log: %w", err)
		}
		if n >= skip && (err == nil || length > 0) {
			line = bytes.Clone(line)
			if length > maxLine+2 {
				line = fmt.Appendf(line, " … and %d bytes more", length-maxLine)
			}
			lines = append(lines, line)
		}
		if err != nil {
			break
		}
	}
	return lines, nil
}
