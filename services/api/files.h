/*
 * Files: <data>/files/<first two characters of the id>/<id>. An upload is written under a temporary name, synced and
 * renamed before the directory knows it, so that a row never points to half a file.
 */
#ifndef API_FILES_H
#define API_FILES_H

#include "services/api/call.h"

/* Makes the directories, and clears what uploads that did not end left a day ago or earlier. PGN_E_IO after logging why. */
int api_files_prepare(const struct pgn_config *config) PGN_MUST_USE;

/* Handlers. */
int api_upload(struct api_call *call);
int api_download(struct api_call *call);

#endif
