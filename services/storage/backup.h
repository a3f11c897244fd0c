/* Backups and their manifests; see backup.c. Administration thread. */
#ifndef STO_BACKUP_H
#define STO_BACKUP_H

#include "services/storage/embedded.h"
#include "services/storage/log_reader.h"

bool sto_backup_name_valid(const char *name);
/* Reads the manifest into info, and compares every file with it when verify is set. PGN_E_NOT_FOUND, PGN_E_CORRUPT. */
int sto_backup_check(const char *directory, Pigeon__BackupInfo *info, bool verify) PGN_MUST_USE;

#endif
