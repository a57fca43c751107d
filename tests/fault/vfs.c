/*
 * SQLite's files: a shim over its unix VFS that fails, lies, and tells the journal. Shared memory is no
 * disk: its locks can fail, its bytes are not journaled.
 */
#include "faulty.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct file {
	sqlite3_file base;
	uint64_t inode; /* 0: not on the disk that the power loss is about */
	sqlite3_file *real;
};

static sqlite3_vfs *unix_vfs;
static _Thread_local int last_error;

static struct file *file_of(sqlite3_file *f)
{
	return (struct file *)(void *)f;
}

static sqlite3_file *real_of(sqlite3_file *f)
{
	return file_of(f)->real;
}

static int failed(int code)
{
	last_error = fault_errno();
	errno = last_error;
	return code;
}

/* --- Files ----------------------------------------------------------------------------------- */

static int file_close(sqlite3_file *f)
{
	return real_of(f)->pMethods->xClose(real_of(f));
}

static int file_read(sqlite3_file *f, void *out, int n, sqlite3_int64 offset)
{
	if (fault_hits(FAULT_READ))
		return failed(SQLITE_IOERR_READ);
	return real_of(f)->pMethods->xRead(real_of(f), out, n, offset);
}

static int write_journaled(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 offset)
{
	if (file_of(f)->inode) {
		disk_note(
			DISK_WRITE, file_of(f)->inode, (uint64_t)offset, bytes, (size_t)n, NULL, 0);
		disk_step();
	}
	return real_of(f)->pMethods->xWrite(real_of(f), bytes, n, offset);
}

static int file_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 offset)
{
	if (!fault_hits(FAULT_WRITE))
		return write_journaled(f, bytes, n, offset);
	if (fault_is_short())
		write_journaled(f, bytes, n / 2, offset);
	/* As the unix VFS does. */
	return failed(fault_errno() == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	if (fault_hits(FAULT_TRUNCATE))
		return failed(SQLITE_IOERR_TRUNCATE);
	if (file_of(f)->inode) {
		disk_note(DISK_TRUNCATE, file_of(f)->inode, (uint64_t)size, NULL, 0, NULL, 0);
		disk_step();
	}
	return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int file_sync(sqlite3_file *f, int flags)
{
	(void)flags;
	if (fault_hits(FAULT_SYNC))
		return failed(SQLITE_IOERR_FSYNC);
	disk_step();
	/* Only in the journal: what lies below loses no power. */
	if (!fault_lies("off") && file_of(f)->inode)
		disk_note(DISK_SYNC, file_of(f)->inode, 0, NULL, 0, NULL, 0);
	return SQLITE_OK;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int file_lock(sqlite3_file *f, int lock)
{
	if (fault_hits(FAULT_LOCK))
		return failed(SQLITE_IOERR_LOCK);
	return real_of(f)->pMethods->xLock(real_of(f), lock);
}

static int file_unlock(sqlite3_file *f, int lock)
{
	return real_of(f)->pMethods->xUnlock(real_of(f), lock);
}

static int file_check_lock(sqlite3_file *f, int *out)
{
	return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

/*
 * synchronous=NORMAL behind the program's back: its FULL becomes level 1 before SQLite reads it, and
 * who asks is told 2.
 */
static int lie_about_synchronous(char **pragma)
{
	if (sqlite3_stricmp(pragma[1], "synchronous") != 0)
		return SQLITE_NOTFOUND;
	if (pragma[2]) {
		memcpy(pragma[2], "1", 2);
		return SQLITE_NOTFOUND;
	}
	pragma[0] = sqlite3_mprintf("2");
	return SQLITE_OK;
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
	if (op == SQLITE_FCNTL_PRAGMA && fault_lies("normal")) {
		int code = lie_about_synchronous(arg);
		if (code != SQLITE_NOTFOUND)
			return code;
	}
	return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int file_sector_size(sqlite3_file *f)
{
	return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int file_characteristics(sqlite3_file *f)
{
	return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

/* --- Shared memory --------------------------------------------------------------------------- */

static int shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	if (fault_hits(FAULT_OPEN))
		return failed(SQLITE_IOERR_SHMMAP);
	return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	if ((flags & SQLITE_SHM_LOCK) && fault_hits(FAULT_LOCK))
		return failed(SQLITE_IOERR_SHMLOCK);
	return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void shm_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int shm_unmap(sqlite3_file *f, int delete)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), delete);
}

/* Version 2: no mapped reads and writes, which nobody could see. */
static const sqlite3_io_methods methods = { 2, file_close, file_read, file_write, file_truncate,
	file_sync, file_size, file_lock, file_unlock, file_check_lock, file_control,
	file_sector_size, file_characteristics, shm_map, shm_lock, shm_barrier, shm_unmap, NULL,
	NULL };

/* --- The VFS --------------------------------------------------------------------------------- */

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
	(void)v;
	struct file *file = file_of(f);
	*file = (struct file){ .real = (sqlite3_file *)(void *)(file + 1) };
	if (fault_hits(FAULT_OPEN))
		return failed(SQLITE_CANTOPEN);
	int code = unix_vfs->xOpen(unix_vfs, name, file->real, flags, out_flags);
	if (!file->real->pMethods)
		return code;
	file->base.pMethods = &methods;
	file->inode = disk_file(name);
	if (file->inode)
		disk_note(DISK_OPEN, file->inode, 0, name, strlen(name), NULL, 0);
	return code;
}

static int vfs_delete(sqlite3_vfs *v, const char *name, int sync_folder)
{
	(void)v;
	if (fault_hits(FAULT_NAME))
		return failed(SQLITE_IOERR_DELETE);
	disk_note(DISK_UNLINK, 0, 0, name, strlen(name), NULL, 0);
	disk_step();
	return unix_vfs->xDelete(unix_vfs, name, sync_folder);
}

static int vfs_access(sqlite3_vfs *v, const char *name, int flags, int *out)
{
	(void)v;
	return unix_vfs->xAccess(unix_vfs, name, flags, out);
}

static int vfs_full_path(sqlite3_vfs *v, const char *name, int n, char *out)
{
	(void)v;
	return unix_vfs->xFullPathname(unix_vfs, name, n, out);
}

static int vfs_random(sqlite3_vfs *v, int n, char *out)
{
	(void)v;
	return unix_vfs->xRandomness(unix_vfs, n, out);
}

static int vfs_sleep(sqlite3_vfs *v, int us)
{
	(void)v;
	return unix_vfs->xSleep(unix_vfs, us);
}

static int vfs_time(sqlite3_vfs *v, double *out)
{
	(void)v;
	return unix_vfs->xCurrentTime(unix_vfs, out);
}

static int vfs_last_error(sqlite3_vfs *v, int n, char *out)
{
	(void)v, (void)n, (void)out;
	return last_error ? last_error : unix_vfs->xGetLastError(unix_vfs, n, out);
}

static int vfs_time_64(sqlite3_vfs *v, sqlite3_int64 *out)
{
	(void)v;
	return unix_vfs->xCurrentTimeInt64(unix_vfs, out);
}

static sqlite3_vfs vfs = { .iVersion = 2,
	.zName = "faulty",
	.xOpen = vfs_open,
	.xDelete = vfs_delete,
	.xAccess = vfs_access,
	.xFullPathname = vfs_full_path,
	.xRandomness = vfs_random,
	.xSleep = vfs_sleep,
	.xCurrentTime = vfs_time,
	.xGetLastError = vfs_last_error,
	.xCurrentTimeInt64 = vfs_time_64 };

/* After memory.c, which SQLite must be told before it starts. */
__attribute__((constructor(103))) static void put_in_place(void)
{
	unix_vfs = sqlite3_vfs_find("unix");
	if (!unix_vfs)
		abort();
	vfs.mxPathname = unix_vfs->mxPathname;
	vfs.szOsFile = (int)sizeof(struct file) + unix_vfs->szOsFile;
	if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
		abort();
}
