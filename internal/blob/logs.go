package blob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"sync"
	"time"

	"reqpm/internal/filelock"
)

// pollEvery is how often a follower looks at a log that another process writes: nothing signals
// across processes. One written by this process tells its followers at once.
const pollEvery = 250 * time.Millisecond

// Logs keeps texts that grow while they are read. All methods may be called from any goroutine and,
// on the same directory, from any process.
//
//	Create → Write … → Close        the writer, one for each log
//	Open → Read to io.EOF → Wait …  readers, at any time and any number
//
// A running log is a plain file, locked by its writer. Closing it compresses it (NAME.gz, which zcat
// reads); byte offsets are those of the uncompressed text before and after. A log whose writer died stays
// a plain file without a lock: readers find its end, and Finish compresses it.
//
// Locks are flock(2), so a directory on a network file system must carry them over (NFS does, since
// Linux 2.6.12). Where machines share none, OpenStoreLogs keeps logs in a Store.
type Logs struct {
	root  *os.Root
	shelf *shelf // nil: all logs are in root

	mu   sync.Mutex
	live map[string]*signal // by name, of writers in this process
}

// signal tells followers that a log has changed.
type signal struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change
}

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *signal) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// OpenLogs opens the logs in a directory, made where there is none. It must not be a Dir's.
func OpenLogs(dir string) (*Logs, error) {
	root, err := openRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the logs %s: %w", dir, err)
	}
	return &Logs{root: root, live: map[string]*signal{}}, nil
}

// Close gives the directory back; open readers and writers of it stay.
func (l *Logs) Close() error {
	if l.shelf != nil {
		l.shelf.close()
	}
	return l.root.Close()
}

const packedSuffix = ".gz"

// LogWriter appends to a log. Writes may come from several goroutines: each is kept in one piece.
type LogWriter struct {
	logs    *Logs
	name    string
	signal  *signal
	shipper *shipper // nil: the log is nowhere else

	mu   sync.Mutex
	f    *os.File
	size int64
}

// Create starts a log. Each attempt has its own: ErrExists where there is one, running or closed.
func (l *Logs) Create(name string) (*LogWriter, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if _, err := l.root.Stat(name + packedSuffix); err == nil {
		return nil, fmt.Errorf("%w: %s", ErrExists, name)
	}
	if l.shelf != nil {
		if err := l.shelf.begin(name); err != nil {
			return nil, fmt.Errorf("start the log %s: %w", name, err)
		}
	}
	// Locked before it has its name, so that no reader ever sees it without its writer's lock.
	tmp := path.Join(tmpDir, rand.Text())
	f, err := l.root.OpenFile(tmp, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start the log %s: %w", name, err)
	}
	err = filelock.Hold(f)
	if err == nil {
		err = inFolder(l.root, name, func() error { return l.root.Link(tmp, name) })
	}
	err = errors.Join(err, l.root.Remove(tmp))
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = ErrExists
		}
		return nil, errors.Join(fmt.Errorf("start the log %s: %w", name, err), f.Close())
	}
	w := &LogWriter{logs: l, name: name, f: f, signal: &signal{changed: make(chan struct{})}}
	l.mu.Lock()
	l.live[name] = w.signal
	l.mu.Unlock()
	if l.shelf != nil {
		w.shipper = l.shelf.ship(w)
	}
	return w, nil
}

// Write appends p, and wakes whoever follows. Readers see it at once; a power cut may lose what was
// written in the last seconds before it.
func (w *LogWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	n, err := w.f.Write(p)
	w.size += int64(n)
	w.mu.Unlock()
	if n > 0 {
		w.signal.tell()
	}
	return n, err
}

// Size is the bytes written.
func (w *LogWriter) Size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

// Close ends the log and compresses it. On an error what was written is still there, and Finish may
// try again.
func (w *LogWriter) Close() error {
	if w.shipper != nil {
		w.shipper.stop()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	err := pack(w.logs.root, w.name, w.f)
	err = errors.Join(err, w.f.Close())
	if err == nil && w.logs.shelf != nil {
		if err = w.logs.shelf.take(w.logs.root, w.name); err != nil {
			w.logs.shelf.leave()
		}
	}
	w.logs.mu.Lock()
	delete(w.logs.live, w.name)
	w.logs.mu.Unlock()
	w.signal.tell()
	if err != nil {
		return fmt.Errorf("close the log %s: %w", w.name, err)
	}
	return nil
}

// Finish compresses a log whose writer died. One that is compressed already is finished; one that
// is being written is filelock.ErrHeld; one that is not there is ErrNotFound.
func (l *Logs) Finish(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	f, err := l.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = l.root.Stat(name + packedSuffix)
		switch {
		case l.shelf == nil && err != nil:
			return notFound("finish", name, err)
		case l.shelf == nil:
			return nil
		case err == nil:
			err = l.shelf.take(l.root, name)
		default:
			err = l.shelf.finish(l.root, name)
		}
	} else if err == nil {
		if err = filelock.Hold(f); err == nil {
			err = pack(l.root, name, f)
		}
		if err = errors.Join(err, f.Close()); err == nil && l.shelf != nil {
			err = l.shelf.take(l.root, name)
		}
	}
	if err != nil {
		return fmt.Errorf("finish the log %s: %w", name, err)
	}
	return nil
}

// Delete removes a log. Whoever reads it may go on; one that is being written should not be deleted.
func (l *Logs) Delete(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	err := errors.Join(removeFile(l.root, name), removeFile(l.root, name+packedSuffix))
	if l.shelf != nil {
		err = errors.Join(err, l.shelf.remove(name))
	}
	return err
}

// List yields the logs whose names start with prefix, with the size that they take on the disk, in no
// particular order.
func (l *Logs) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	if l.shelf != nil {
		return l.shelf.list(ctx, prefix)
	}
	return func(yield func(Info, error) bool) {
		for info, err := range listFiles(ctx, l.root, prefix) {
			if n := len(info.Name) - len(packedSuffix); n > 0 && info.Name[n:] == packedSuffix {
				info.Name = info.Name[:n]
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// text is a log as it lies somewhere.
type text interface {
	// ReadAt may give fewer bytes than asked for without an error; io.EOF is the end of what there is now.
	ReadAt(p []byte, at int64) (int, error)
	// Size is the bytes there are now. What was there when running said false is all there will be.
	Size() (int64, error)
	running() (bool, error)
	// changed is closed at the next change that this process knows of by itself; nil: it knows of none.
	changed() <-chan struct{}
	Close() error
}

// LogReader reads a log that may be growing. Not for use by several goroutines at once.
type LogReader struct {
	name string
	text text
	at   int64
}

// Open opens a log at its start, running or closed: ErrNotFound.
func (l *Logs) Open(name string) (*LogReader, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	// Before the file: a writer that closes in between is then seen by its file alone.
	l.mu.Lock()
	live := l.live[name]
	l.mu.Unlock()
	var err error
	for range 2 { // a log that is closed between the two is found the second time
		var f *os.File
		if f, err = l.root.Open(name); err == nil {
			return &LogReader{name: name, text: &plain{File: f, logs: l, name: name, signal: live}}, nil
		}
		if f, err = l.root.Open(name + packedSuffix); err == nil {
			stat, err := f.Stat()
			var packed *packedReader
			if err == nil {
				packed, err = openPacked(f, stat.Size())
			}
			if err != nil {
				return nil, errors.Join(fmt.Errorf("open the log %s: %w", name, err), f.Close())
			}
			return &LogReader{name: name, text: packed}, nil
		}
	}
	if l.shelf != nil {
		text, err := l.shelf.open(name)
		if err != nil {
			return nil, fmt.Errorf("open the log %s: %w", name, err)
		}
		return &LogReader{name: name, text: text}, nil
	}
	return nil, notFound("open the log", name, err)
}

// plain is a log that is written, or was by who died, in this machine's directory.
type plain struct {
	*os.File
	logs   *Logs
	name   string
	signal *signal // of a writer in this process; nil: there is none
	ended  bool    // the file grows no more
}

func (t *plain) Size() (int64, error) {
	stat, err := t.Stat()
	if err != nil {
		return 0, err
	}
	return stat.Size(), nil
}

func (t *plain) changed() <-chan struct{} {
	if t.signal == nil {
		return nil
	}
	return t.signal.wait()
}

func (t *plain) running() (bool, error) {
	if t.ended {
		return false, nil
	}
	// A lock that can be had is a writer that closed or died.
	lock, err := t.logs.root.Open(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		t.ended = true // packed meanwhile: the file that is open here is whole
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer lock.Close()
	err = filelock.HoldShared(lock)
	if errors.Is(err, filelock.ErrHeld) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	t.ended = true
	return false, nil
}

// Close ends reading.
func (r *LogReader) Close() error { return r.text.Close() }

func (r *LogReader) failed(err error) error { return fmt.Errorf("read the log %s: %w", r.name, err) }

// Size is the bytes of text there are now.
func (r *LogReader) Size() (int64, error) {
	size, err := r.text.Size()
	if err != nil {
		return 0, r.failed(err)
	}
	return size, nil
}

// Read is io.EOF at the end of what was written until now; Wait says whether more will come.
func (r *LogReader) Read(p []byte) (n int, err error) {
	n, err = r.text.ReadAt(p, r.at)
	r.at += int64(n)
	if n > 0 {
		return n, nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, r.failed(err)
	}
	return n, err
}

// Seek goes to a byte of the text; past the end is allowed, where Wait then waits until the text
// reaches so far.
func (r *LogReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		size, err := r.Size()
		if err != nil {
			return 0, err
		}
		offset += size
	}
	if offset < 0 {
		return 0, r.failed(fmt.Errorf("%d is before its start", offset))
	}
	r.at = offset
	return offset, nil
}

// Running says whether somebody still writes the log.
func (r *LogReader) Running() (bool, error) {
	running, err := r.text.running()
	if err != nil {
		return false, r.failed(err)
	}
	return running, nil
}

// Wait returns nil when there is more to read, and io.EOF when the log has ended and all of it was
// read; else it ends with its context.
func (r *LogReader) Wait(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		told := r.text.changed()
		// In this order: what is written before the writer ends is seen by the look that follows.
		running, err := r.Running()
		if err != nil {
			return err
		}
		size, err := r.Size()
		if err != nil {
			return err
		}
		if size > r.at {
			return nil
		}
		if !running {
			return io.EOF
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-told:
		case <-tick.C:
		}
	}
}
